/** `oriel torture`, the program: against toys with faults, and against `oriel fs` and `oriel gpu`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSys } from '@oriel/sys';
import { canGuard, canSandbox, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';
const TOY = fileURLToPath(new URL('../../../packages/torture/test/support/toy-backend.ts', import.meta.url));
const HEADINGS = 2;

/** A shell command that starts a toy. */
function toy(fault: string): string {
  return `${process.execPath} --disable-warning=ExperimentalWarning ${TOY} ${fault} {socket}`;
}

describe('oriel torture, the program', function () {
  this.timeout(120_000);
  let dir: TempDir;
  const programs: Program[] = [];

  function start(...args: readonly string[]): Program {
    const program = new Program(MAIN, args);
    programs.push(program);
    return program;
  }

  /** Runs the suite. @returns the rows as words, the summary, and how it ended */
  async function torture(...args: readonly string[]) {
    const program = start('torture', '--timeout=1000', ...args);
    const { code } = await program.end();
    const lines = program.stdout.trimEnd().split('\n');
    return { code, stderr: program.stderr, summary: lines.at(-1), rows: lines.slice(HEADINGS, -1) };
  }

  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('ends with 0 where a back-end bears or refuses, one process for each clause', async () => {
    const { code, rows, summary, stderr } = await torture(
      `--command=${toy('refuses')}`,
      '--device=none',
      '--clause=stream/unknown-*',
    );
    expect(code, stderr).to.equal(0);
    expect(rows.map((row) => row.split(/ +/).slice(0, 2))).to.deep.equal([
      ['PASS', 'stream/unknown-0'],
      ['REJECT', 'stream/unknown-46'],
      ['PASS', 'stream/unknown-1000'],
      ['PASS', 'stream/unknown-max'],
    ]);
    expect(summary).to.equal('1 REJECT, 3 PASS, 0 HANG, 0 DEAD, 0 SKIP');
  });

  it('goes on behind a death with a new process, and ends with 1', async () => {
    const { code, rows } = await torture(`--command=${toy('dies')}`, '--device=none', '--clause=stream/unknown-*');
    expect(code).to.equal(1);
    expect(rows.map((row) => row.split(' ')[0])).to.deep.equal(['PASS', 'DEAD', 'PASS', 'PASS']);
    expect(rows[1]).to.include('SIGABRT').and.to.include('message 46');
  });

  it('judges a back-end that serves one connection by its end', async () => {
    const good = await torture(`--command=${toy('once')}`, '--device=none', '--clause=stream/unknown-46');
    expect([good.code, good.rows[0]?.split(' ')[0]], good.stderr).to.deep.equal([0, 'PASS']);
    const bad = await torture(`--command=${toy('crashes-once')}`, '--device=none', '--clause=stream/unknown-46');
    expect([bad.code, bad.rows[0]?.split(' ')[0]], bad.stderr).to.deep.equal([1, 'DEAD']);
  });

  it('stops where a back-end that it did not start serves nobody any more', async () => {
    const socketPath = join(dir.path, 'toy.sock');
    const backend = new Program(TOY, ['hangs', socketPath]);
    programs.push(backend);
    await new Promise((resolve) => backend.child.stdout!.once('data', resolve));
    const { code, rows, summary } = await torture(
      `--socket-path=${socketPath}`,
      '--device=none',
      '--clause=stream/unknown-*',
    );
    expect(code).to.equal(1);
    expect(rows.map((row) => row.split(' ')[0])).to.deep.equal(['PASS', 'HANG']);
    expect(summary).to.match(/stopped: .*stream\/unknown-46, 2 clauses were not run/);
  });

  it('prints JSON: clauses, then a summary', async () => {
    const program = start(
      'torture',
      '--json',
      `--command=${toy('none')}`,
      '--device=none',
      '--clause=stream/unknown-46',
    );
    expect((await program.end()).code).to.equal(0);
    const [clause, summary] = program.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(clause).to.include({ clause: 'stream/unknown-46', verdict: 'PASS', sent: 'message 46, which there is not' });
    expect(summary).to.deep.equal({
      summary: { REJECT: 0, PASS: 1, HANG: 0, DEAD: 0, SKIP: 0 },
      device: 'unknown',
      stopped: null,
    });
  });

  it('says in one line why it cannot begin', async () => {
    const nobody = await torture(`--socket-path=${join(dir.path, 'nobody')}`);
    expect([nobody.code, nobody.stderr]).to.deep.equal([1, 'oriel torture: no honest session: connect: ENOENT\n']);
    const broken = await torture('--command=echo no such thing {socket}; exit 3');
    expect(broken.code).to.equal(1);
    expect(broken.stderr).to.match(/^oriel torture: the command does not listen on [^\n]*: no such thing [^\n]*\n$/);
  });

  for (const device of ['fs', 'gpu']) {
    it(`${device}: rejects or passes every clause, and is known without being named`, async () => {
      const socketPath = join(dir.path, 'socket');
      const share = join(dir.path, 'share');
      mkdirSync(share);
      const guard = [
        ...(canGuard(openSys(), share) ? [] : ['--dax-unguarded']),
        ...(canSandbox() ? [] : ['--sandbox=none']),
      ];
      const own = device === 'fs' ? [`--shared-dir=${share}`, '--tag=t', `--state-dir=${dir.path}`, ...guard] : [];
      const backend = start(device, `--socket-path=${socketPath}`, ...own);
      await backend.says('listening');
      const program = start('torture', `--socket-path=${socketPath}`);
      const { code } = await program.end();
      const bad = program.stdout.split('\n').filter((row) => /^(HANG|DEAD)|more than before/.test(row));
      expect(bad, program.stderr).to.deep.equal([]);
      expect(code).to.equal(0);
      expect(program.stdout).to.include(`device: ${device}\n`);
      expect(program.stdout).to.match(/\n[34]\d\d REJECT, \d+ PASS, 0 HANG, 0 DEAD, \d+ SKIP\n$/);
      const end = await backend.stop('SIGTERM');
      expect(end.code, backend.stderr).to.equal(0);
    });
  }
});
