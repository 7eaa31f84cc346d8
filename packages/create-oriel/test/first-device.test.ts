/** Types `docs/first-device.md` as it stands: its files, its commands, in its order. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { create, environment, install, run } from './workshop.ts';

const GUIDE = readFileSync(new URL('../../../docs/first-device.md', import.meta.url), 'utf8');

/** A step: lines for a shell, or a file. The path of a file is the last that stands in front of it. */
type Step = { readonly lines: readonly string[] } | { readonly path: string; readonly text: string };

function steps(): readonly Step[] {
  return [...GUIDE.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(({ 1: language, 2: text, index }) => {
    if (language === 'sh') return { lines: text!.trim().split('\n') };
    const path = [...GUIDE.slice(0, index).matchAll(/into `([^`]+)`/g)].at(-1)![1]!;
    return { path, text: text! };
  });
}

describe('docs/first-device.md, typed as it stands', () => {
  it('ends with a device that a front-end in another process has used', async function () {
    this.timeout(120_000);
    using dir = tempDir('first-device-');
    let folder = dir.path;
    const said: string[] = [];
    const served: Promise<unknown>[] = [];
    for (const step of steps()) {
      if ('path' in step) {
        writeFileSync(join(folder, step.path), step.text);
        continue;
      }
      for (const line of step.lines) {
        const [, name] = /^npm create oriel (\S+)$/.exec(line) ?? [];
        if (name !== undefined) {
          expect(await create(folder, name)).to.have.property('code', 0);
        } else if (line.startsWith('cd ')) {
          folder = join(folder, line.slice(3));
        } else if (line === 'npm install') {
          install(folder);
        } else if (line.endsWith(' &')) {
          const child = spawn('sh', ['-c', line.slice(0, -2)], { cwd: folder, env: environment() });
          served.push(once(child, 'close'));
          await new Promise<void>((resolve, reject) => {
            child.stdout.on('data', (data) => String(data).includes('listening') && resolve());
            child.once('close', () => reject(new Error(`${line} ended`)));
          });
        } else {
          const { code, text } = await run(
            folder,
            line === 'npm run types' ? 'tsc --customConditions @oriel/source' : line,
          );
          expect(code, `${line}\n${text}`).to.equal(0);
          said.push(text);
        }
      }
    }
    expect(await Promise.all(served)).to.deep.equal([[0, null]]);
    expect(said.join('')).to.match(/fail 0\n/);
    expect(said.join('')).to.match(/first used descriptor after \d+ ms/);
    const thrown = /^thrown: ([\d ]+)$/m.exec(said.at(-1)!)?.[1]?.split(' ').map(Number);
    expect(thrown).to.have.length(10);
    for (const value of thrown!) expect(value).to.be.within(1, 20);
    const again = await run(folder, 'npm test');
    expect(again, again.text).to.have.property('code', 0);
  });

  it('counts the lines of its device', () => {
    const device = steps().find((step) => 'path' in step && step.path === 'src/device.ts') as { text: string };
    const lines = device.text.split('\n').filter((line) => line.trim() !== '');
    const body = lines.filter((line) => !line.startsWith('import '));
    expect(GUIDE).to.include(`| code of the device | ${body.length} lines |`);
  });
});
