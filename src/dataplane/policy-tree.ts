import {
  type Box,
  compareAlong,
  contains,
  DIMENSIONS,
  include,
  type Point,
  sharedBits,
  union,
  unionBits,
} from './selector-box.ts';

/** Something in the tree: what it matches lies within the box. */
export type TreeEntry = { readonly box: Box };

type Leaf<E extends TreeEntry> = {
  readonly kind: 'leaf';
  readonly box: Box;
  readonly best: E;
  parent: Node<E> | undefined;
};

type Node<E extends TreeEntry> = {
  readonly kind: 'node';
  /** Around all children. */
  box: Box;
  /** The logarithm of its size. */
  bits: number;
  /** The first entry below it, in rank. */
  best: E;
  /** In the rank of their best entries. */
  children: Child<E>[];
  parent: Node<E> | undefined;
};

type Child<E extends TreeEntry> = Leaf<E> | Node<E>;

const MAX_CHILDREN = 16;

/**
 * An R-tree (Guttman, 1984) whose nodes also know the best-ranked entry below them. The first match in rank
 * is found by going down where the point is, best child first, and no further than a match found already.
 *
 * Boxes are in every dimension of a selector, so entries that share their addresses are told apart by
 * ports, and those that share the remote network by the local one. A lookup visits the logarithm of the
 * number of entries, plus those whose boxes hold the point and that rank before the match.
 */
export class PolicyTree<E extends TreeEntry> {
  readonly #compare: (a: E, b: E) => number;
  readonly #leaves = new Map<E, Leaf<E>>();
  #root: Node<E> | undefined;

  /** `compare` is the rank: the lower of two matches is the answer. */
  constructor(compare: (a: E, b: E) => number) {
    this.#compare = compare;
  }

  insert(entry: E): void {
    const leaf: Leaf<E> = { kind: 'leaf', box: entry.box, best: entry, parent: undefined };
    this.#leaves.set(entry, leaf);
    if (this.#root === undefined) {
      this.#root = this.#nodeOf([leaf]);
      return;
    }
    const node = leafParentFor(this.#root, entry.box);
    leaf.parent = node;
    node.children.push(leaf);
    this.#grow(node, leaf);
  }

  remove(entry: E): void {
    const leaf = this.#leaves.get(entry);
    this.#leaves.delete(entry);
    if (leaf !== undefined) this.#detach(leaf);
  }

  /** The first in rank of those whose box holds the point and that match. */
  first(point: Point, matches: (entry: E) => boolean): E | undefined {
    return this.#root === undefined ? undefined : this.#firstBelow(this.#root, point, matches, undefined);
  }

  #firstBelow(
    node: Node<E>,
    point: Point,
    matches: (entry: E) => boolean,
    found: E | undefined,
  ): E | undefined {
    let first = found;
    for (const child of node.children) {
      // Those behind it rank later still.
      if (first !== undefined && this.#compare(child.best, first) >= 0) break;
      if (!contains(child.box, point)) continue;
      if (child.kind === 'node') first = this.#firstBelow(child, point, matches, first);
      else if (matches(child.best)) first = child.best;
    }
    return first;
  }

  /** From a node that got a child up to the root. */
  #grow(start: Node<E>, added: Child<E>): void {
    for (let node: Node<E> | undefined = start; node !== undefined; node = node.parent) {
      if (node.children.length > MAX_CHILDREN) {
        this.#split(node);
        continue;
      }
      include(node.box, added.box);
      node.bits = unionBits(node.box, node.box);
      this.#rank(node);
    }
  }

  /** Keeps one half of the children and gives the other one to a sibling. */
  #split(node: Node<E>): void {
    const [left, right] = halves(node.children);
    const parent = node.parent;
    const sibling = this.#nodeOf(right);
    this.#fill(node, left);
    if (parent === undefined) {
      this.#root = this.#nodeOf([node, sibling]);
      return;
    }
    sibling.parent = parent;
    parent.children.push(sibling);
  }

  #detach(child: Child<E>): void {
    const node = child.parent;
    if (node === undefined) return;
    const left = node.children.filter((other) => other !== child);
    if (left.length === 0) {
      if (node === this.#root) this.#root = undefined;
      this.#detach(node);
      return;
    }
    this.#fill(node, left);
    for (let above = node.parent; above !== undefined; above = above.parent)
      this.#fill(above, above.children);
    this.#lowerRoot();
  }

  /** A root with one child is a level too many. */
  #lowerRoot(): void {
    for (;;) {
      const [only, another] = this.#root?.children ?? [];
      if (only?.kind !== 'node' || another !== undefined) return;
      only.parent = undefined;
      this.#root = only;
    }
  }

  #nodeOf(children: readonly [Child<E>, ...Child<E>[]]): Node<E> {
    const [first] = children;
    const { box, best } = first;
    const node: Node<E> = { kind: 'node', box, bits: 0, best, children: [], parent: undefined };
    this.#fill(node, children);
    return node;
  }

  #fill(node: Node<E>, children: readonly Child<E>[]): void {
    const [first, ...others] = children;
    if (first === undefined) return;
    node.children = [first, ...others];
    node.box = first.box.slice();
    for (const child of others) include(node.box, child.box);
    node.bits = unionBits(node.box, node.box);
    for (const child of node.children) child.parent = node;
    this.#rank(node);
  }

  #rank(node: Node<E>): void {
    node.children.sort((a, b) => this.#compare(a.best, b.best));
    node.best = node.children[0]?.best ?? node.best;
  }
}

/** Down to the node above the leaves whose box grows least. */
function leafParentFor<E extends TreeEntry>(root: Node<E>, box: Box): Node<E> {
  let node = root;
  for (;;) {
    let next: Node<E> | undefined;
    let leastGrowth = Number.POSITIVE_INFINITY;
    for (const child of node.children) {
      if (child.kind === 'leaf') continue;
      const growth = unionBits(child.box, box) - child.bits;
      if (growth < leastGrowth || (growth === leastGrowth && child.bits < (next?.bits ?? 0))) {
        next = child;
        leastGrowth = growth;
      }
    }
    if (next === undefined) return node;
    node = next;
  }
}

type Half<E extends TreeEntry> = [Child<E>, ...Child<E>[]];

/** Splits along the dimension that leaves the halves least in common, and then smallest. */
function halves<E extends TreeEntry>(children: readonly Child<E>[]): readonly [Half<E>, Half<E>] {
  let best:
    | { readonly sorted: readonly Child<E>[]; readonly common: number; readonly size: number }
    | undefined;
  const middle = children.length >>> 1;
  for (let dimension = 0; dimension < DIMENSIONS; dimension += 1) {
    const sorted = children.toSorted((a, b) => compareAlong(a.box, b.box, dimension));
    const left = boxAround(sorted.slice(0, middle));
    const right = boxAround(sorted.slice(middle));
    const common = 1 + (sharedBits(left, right) ?? -1);
    const size = unionBits(left, left) + unionBits(right, right);
    if (best === undefined || common < best.common || (common === best.common && size < best.size)) {
      best = { sorted, common, size };
    }
  }
  const sorted = best?.sorted ?? children;
  return [half(sorted.slice(0, middle)), half(sorted.slice(middle))];
}

function half<E extends TreeEntry>([first, ...others]: readonly Child<E>[]): Half<E> {
  if (first === undefined) throw new RangeError('half of a node without children');
  return [first, ...others];
}

function boxAround<E extends TreeEntry>(children: readonly Child<E>[]): Box {
  const [first, ...others] = half(children);
  return others.reduce((box, child) => union(box, child.box), first.box);
}
