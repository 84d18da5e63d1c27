import { icvBytes } from './algorithm.ts';
import type { FarSa } from './far-end.ts';
import type { Row } from './row.ts';

/** Reads an SA of `ip -s xfrm state`, and compares it with what the row is about. */
export function kernelSa(
  state: string,
  row: Row,
  wanted: { readonly spi: number; readonly destination: string },
): FarSa {
  const spi = `spi 0x${wanted.spi.toString(16).padStart(8, '0')}(`;
  const block = state
    .split(/^(?=src )/m)
    .find((text) => text.includes(spi) && text.includes(` dst ${wanted.destination}\n`));
  if (block === undefined) return { packets: 0n, faults: ['the kernel has no such SA'] };
  const packets = BigInt(/(\d+)\(packets\)/.exec(block)?.[1] ?? '0');
  const faults = expectations(row)
    .filter(({ pattern }) => !pattern.test(block))
    .map(({ what }) => `the kernel's SA: ${what} is not so`);
  const drops = /stats:\s+replay-window (\d+) replay (\d+) failed (\d+)/.exec(block);
  if (drops === null || drops.slice(1).some((count) => count !== '0'))
    faults.push(`the kernel: ${drops?.[0]}`);
  return { packets, faults };
}

type Expectation = { readonly what: string; readonly pattern: RegExp };

function expectations(row: Row): readonly Expectation[] {
  const { algorithm, mode, encapsulation, esn } = row;
  const { encryption, integrity } = algorithm;
  const icvBits = icvBytes(algorithm) * 8;
  const list: Expectation[] = [
    {
      what: `${algorithm.protocol}, ${mode} mode`,
      pattern: new RegExp(`proto ${algorithm.protocol} .*mode ${mode}`),
    },
    {
      what: `UDP encapsulation: ${encapsulation}`,
      pattern:
        encapsulation === 'udp' ? /encap type espinudp sport 4500 dport 4500/ : /^(?![\s\S]*encap type)/,
    },
    { what: `ESN: ${esn}`, pattern: esn ? /flag .*esn/ : /^(?![\s\S]*flag .*esn)/ },
  ];
  if (encryption !== undefined) {
    const { kernelName, kernelKeyBits } = encryption;
    const [kind, icv] = encryption.icvBytes > 0 ? ['aead', ` ${icvBits}`] : ['enc', ''];
    const key = kernelKeyBits === 0 ? '' : `0x[0-9a-f]+ \\(${kernelKeyBits} bits\\)`;
    list.push({
      what: `${kernelName} with ${kernelKeyBits} bits${icv}`,
      pattern: new RegExp(`${kind} ${escapeName(kernelName)} ${key}${icv}\n`),
    });
  }
  if (integrity !== undefined) {
    const { kernelName, keyBits } = integrity;
    list.push({
      what: `${kernelName} with ${keyBits} bits, ${icvBits} of them in the ICV`,
      pattern: new RegExp(
        `auth-trunc ${escapeName(kernelName)} 0x[0-9a-f]+ \\(${keyBits} bits\\) ${icvBits}\n`,
      ),
    });
  }
  return list;
}

function escapeName(name: string): string {
  return name.replaceAll(/[()]/g, '\\$&');
}
