/** docs/fs-options.md says what the option table says. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { fsOptions } from '../src/cli/fs-options.ts';

/** `virtiofsd --help` of 1.13.2, without -h and -V, which have long names. */
const VIRTIOFSD = [
  '--shared-dir --tag --socket --socket-path --socket-group --fd --thread-pool-size --xattr --posix-acl --xattrmap --sandbox',
  '--readonly --seccomp --announce-submounts --no-announce-submounts --inode-file-handles --cache --allow-mmap',
  '--no-readdirplus --writeback --allow-direct-io --print-capabilities --modcaps --log-level --syslog --rlimit-nofile -o -d',
  '--no-killpriv-v2 --killpriv-v2 -f --security-label --uid-map --gid-map --translate-uid --translate-gid',
  '--preserve-noatime --migration-mode --migration-on-error --migration-verify-handles --migration-confirm-paths --help',
  '--version',
].flatMap((line) => line.split(' '));
/** Not in the table: they are read before it is. */
const READ_BEFORE = new Set(['-o', '-d', '-f', '--socket']);

interface Row {
  readonly options: readonly string[];
  readonly verdict: string;
  readonly text: string;
}

/** The rows of the table under a heading. */
function rows(heading: string): Row[] {
  const text = readFileSync(new URL('../../../docs/fs-options.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(heading))!;
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [first, verdict, last = ''] = line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      return { options: [...first!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!), verdict: verdict!, text: last };
    });
}

const known = (option: string): boolean => READ_BEFORE.has(option) || Object.hasOwn(fsOptions, option.slice(2));

describe('docs/fs-options.md', () => {
  it('has each option of virtiofsd once', () => {
    expect(
      rows('Options of virtiofsd')
        .flatMap(({ options }) => options)
        .sort(),
    ).to.deep.equal([...VIRTIOFSD].sort());
  });

  for (const { options, verdict, text } of rows('Options of virtiofsd')) {
    it(`is right about ${options[0]}: ${verdict}`, () => {
      expect(['same', 'better', 'refused']).to.include(verdict);
      expect(known(options[0]!)).to.equal(verdict !== 'refused');
      if (verdict !== 'same') expect(text, 'why').to.have.length.greaterThan(5);
    });
  }

  it('has each other option of `oriel fs` once', () => {
    const own = Object.keys(fsOptions)
      .map((name) => `--${name}`)
      .filter((name) => !VIRTIOFSD.includes(name));
    expect(
      rows('Options that virtiofsd lacks')
        .flatMap(({ options }) => options)
        .sort(),
    ).to.deep.equal(own.sort());
  });
});
