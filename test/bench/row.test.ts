import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRow } from '../../bench/support/row.ts';
import { formatFigure, formatTable } from '../../bench/support/table.ts';

test('a row holds the spread, every value and the ratio to the peer', () => {
  const row = makeRow({
    name: 'speed',
    unit: 'm/s',
    values: [4, 6, 5],
    peer: { name: 'other', values: [2, 3, 2] },
  });
  assert.deepEqual(row, {
    name: 'speed',
    unit: 'm/s',
    median: 5,
    min: 4,
    max: 6,
    runs: 3,
    values: [4, 6, 5],
    peer: { name: 'other', median: 2, ratio: 2.5, values: [2, 3, 2] },
  });
});

test('there is no ratio to nothing', () => {
  const row = makeRow({ name: 'lost', unit: 'packets', values: [0], peer: { name: 'other', values: [0] } });
  assert.deepEqual(row.peer, { name: 'other', median: 0, values: [0] });
});

test('the table has a line per row, with the peer where there is one', () => {
  const text = formatTable([
    makeRow({
      name: 'speed',
      unit: 'm/s',
      aim: 'ratio >= 2',
      values: [5],
      peer: { name: 'other', values: [2] },
    }),
    makeRow({ name: 'latency', unit: 'ms', values: [0.25, 0.5] }),
  ]);
  const cells = text
    .split('\n')
    .filter((line) => line.includes('│'))
    .map((line) =>
      line
        .split('│')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  assert.deepEqual(cells, [
    ['name', 'unit', 'median', 'min', 'max', 'runs', 'peer', 'ratio', 'aim'],
    ['speed', 'm/s', '5', '5', '5', '1', 'other 2', '2.50', 'ratio >= 2'],
    ['latency', 'ms', '0.375', '0.250', '0.500', '2', '', '', ''],
  ]);
});

test('figures have three digits and no exponent', () => {
  const figures = [0, 12_345, 1234.5, 12.345, 1.2345, 0.012_345, -12.345].map(formatFigure);
  assert.deepEqual(figures, ['0', '12345', '1235', '12.3', '1.23', '0.012', '-12.3']);
});
