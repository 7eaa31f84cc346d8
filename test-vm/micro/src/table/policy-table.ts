/** The observations as a table in Markdown. */
import type { Observation } from './observe.ts';

const HEAD = [
  'policy',
  'range',
  'access',
  'process, raw',
  'Window.read, write',
  'guest, 64-bit user code',
  'guest, real mode',
];

const NOTES = [
  '- A cell says what a load gave, or what a load behind the store gave.',
  '- `discard`: the process column is by wiping, the guest columns are by read-only memory slots.',
  '- In brackets: each exit of KVM_RUN, and what the window made of it. `EFAULT`: KVM did not say where.',
  '- A KVM that emulates a guest gives an MMIO exit where hardware makes KVM_RUN fail with EFAULT. Where that befalls user',
  '  code too, its cell says `not observable here`, what was seen, and what came when the Sys mock turned the exit into EFAULT.',
];

/** @param host - one line on the machine that was observed */
export function policyTable(rows: readonly Observation[], host: string): string {
  const cells = rows.map(({ policy, kind, access, process, own, guest, realMode }) => [
    policy,
    kind,
    access,
    process,
    own,
    guest,
    realMode,
  ]);
  const widths = HEAD.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [`Observed on ${host}.`, '', ...NOTES, '', line(HEAD), rule, ...cells.map(line), ''].join('\n');
}
