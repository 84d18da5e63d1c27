import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/agent/config.ts';
import { toPolicyUser, toSecurityAssociation } from '../../src/agent/feed-to-sad.ts';
import { agentConfigSchema } from '../../src/agent/index.ts';
import { createVrfOf, type VrfSelector } from '../../src/agent/vrf-rules.ts';
import { policyKey, saKey } from '../../src/sad/index.ts';
import { samplePolicy, sampleSa } from '../keyfeed/samples.ts';

function rulesOf(yaml: string) {
  return parseConfig(agentConfigSchema, yaml, 'agent.yaml').vrfRules;
}

const RULES = `
vrfRules:
  - { ifId: 41, vrf: red }
  - { mark: { value: 0x20, mask: 0xf0 }, vrf: blue }
  - { ifId: 42, mark: { value: 7 }, vrf: green }
  - { ifId: 42, vrf: other }
`;

test('the first rule that matches decides, and a rule matches by all it asks for', () => {
  const vrfOf = createVrfOf(rulesOf(RULES));
  const cases: readonly (readonly [VrfSelector, string | undefined])[] = [
    [{}, undefined],
    [{ ifId: 41 }, 'red'],
    [{ ifId: 41, mark: { value: 0x20, mask: 0xf0 } }, 'red'],
    [{ mark: { value: 0x20, mask: 0xf0 } }, 'blue'],
    // What is outside the mask means nothing.
    [{ mark: { value: 0x2f, mask: 0xf0 } }, 'blue'],
    [{ mark: { value: 0x20, mask: 0xff } }, undefined],
    [{ ifId: 42, mark: { value: 7, mask: 0xffffffff } }, 'green'],
    [{ ifId: 42, mark: { value: 8, mask: 0xffffffff } }, 'other'],
    [{ ifId: 42 }, 'other'],
    [{ ifId: 43 }, undefined],
  ];
  for (const [selector, vrf] of cases) assert.equal(vrfOf(selector), vrf, JSON.stringify(selector));
});

test('no rules: everything is in the default VRF', () => {
  assert.equal(createVrfOf(rulesOf(''))({ ifId: 1 }), undefined);
});

test('a wrong rule is answered with which one, and what was expected', () => {
  for (const [yaml, problem] of [
    ['[{ vrf: red }]', /vrfRules\.0: expected an ifId, a mark, or both/],
    ['[{ ifId: 1, vrf: red }, { ifId: 0, vrf: red }]', /vrfRules\.1\.ifId/],
    ['[{ ifId: 1 }]', /vrfRules\.0\.vrf/],
    ["[{ ifId: 1, vrf: 'a b' }]", /vrfRules\.0\.vrf: .*without spaces/],
    ['[{ mark: { value: 0x11, mask: 0x10 }, vrf: red }]', /vrfRules\.0\.mark: .*mask has not/],
    ['[{ name: net, vrf: red }]', /name/],
  ] as const) {
    assert.throws(() => rulesOf(`vrfRules: ${yaml}`), problem, yaml);
  }
});

test('an SA and its policies are given the same VRF, and it is part of what they are', () => {
  const vrfOf = createVrfOf(rulesOf(RULES));
  const plain = sampleSa();
  const feedSa = { ...plain, id: { ...plain.id, ifId: 41 } };
  const sa = toSecurityAssociation(feedSa, vrfOf);
  assert.equal(sa.innerVrf, 'red');
  assert.equal(saKey(sa.id), saKey(toSecurityAssociation(feedSa, () => undefined).id));
  const feedPolicy = samplePolicy({ ifId: 41 });
  const { id } = toPolicyUser(feedPolicy, vrfOf);
  assert.equal(id.innerVrf, 'red');
  assert.notEqual(policyKey(id), policyKey(toPolicyUser(feedPolicy, () => undefined).id));
});
