import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { guestUnsupported, setupGuest } from '@oriel/test-vm-guest';
import { expect } from 'chai';

const START = fileURLToPath(new URL('../start.ts', import.meta.url));
const PROMPT = '/mnt # ';

describe('npm start -- --vm', () => {
  let child: ChildProcess;
  let output = '';

  before(async function () {
    const reason = guestUnsupported();
    if (reason !== undefined) {
      process.stderr.write(`GUEST SUITE SKIPPED: ${reason}\n`);
      this.skip();
    }
    await setupGuest();
    child = spawn(
      process.execPath,
      ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning', START, '--vm'],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  });

  after(() => child?.kill('SIGTERM'));

  /** Waits for the shell's next prompt. */
  async function prompt(from: number): Promise<string> {
    while (!output.includes(PROMPT, from)) await once(child.stdout!, 'data');
    return output.slice(from);
  }

  async function type(line: string): Promise<string> {
    const from = output.length;
    child.stdin!.write(`${line}\n`);
    return prompt(from);
  }

  it("gives a Linux guest's shell with the share mounted, and ends with it", async () => {
    const greeting = await prompt(0);
    expect(greeting).to.include('This is Linux');
    expect(greeting).to.include('noise.bin');
    expect(await type('cat hello.txt')).to.include('Hello from the host.');
    const [mapped, read] = [await type('mapcat noise.bin | md5sum'), await type('md5sum noise.bin')].map(
      (text) => /[0-9a-f]{32}/.exec(text)?.[0],
    );
    expect(mapped).to.be.a('string').and.to.equal(read);
    child.stdin!.end('exit\n');
    expect((await once(child, 'exit'))[0]).to.equal(0);
  });
});
