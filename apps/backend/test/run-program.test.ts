import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { encodeGetDisplayInfo } from '@oriel/gpu-blob/testing';
import { openSys } from '@oriel/sys';
import { canGuard, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { askControl } from '../src/control/client.ts';
import { openSession } from './fixtures/fs-session.ts';
import { GpuGuest } from './fixtures/gpu-guest.ts';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';

describe('oriel run, the program', function () {
  this.timeout(20_000);
  let dir: TempDir;
  let fsSocket: string;
  let gpuSocket: string;
  let control: string;
  let devices: string[];
  const programs: Program[] = [];

  function start(...args: readonly string[]): Program {
    const program = new Program(MAIN, ['run', ...args]);
    programs.push(program);
    return program;
  }

  beforeEach(() => {
    dir = tempDir();
    fsSocket = join(dir.path, 'fs.sock');
    gpuSocket = join(dir.path, 'gpu.sock');
    control = join(dir.path, 'control');
    mkdirSync(join(dir.path, 'share'));
    const share = `shared-dir=${join(dir.path, 'share')},tag=home,state-dir=${dir.path}`;
    const fs = `fs,socket-path=${fsSocket},${share}${canGuard(openSys(), dir.path) ? '' : ',dax-unguarded'}`;
    devices = [
      `--control-socket=${control}`,
      '--device',
      fs,
      '--device',
      `gpu,socket-path=${gpuSocket},outputs=800x600`,
    ];
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('serves a share and a display', async () => {
    const program = start(...devices);
    await program.says(`listening: ${fsSocket}`);
    await program.says(`listening: ${gpuSocket}`);
    using guest = new GpuGuest(gpuSocket);
    expect(openSession(fsSocket)).to.deep.equal({ tag: 'home', error: 0, unique: 77n });
    const info = guest.command(encodeGetDisplayInfo());
    expect('outputs' in info && info.outputs[0]).to.include({ width: 800, height: 600 });
    const all = await askControl(control, { command: 'devices' });
    expect(all).to.deep.equal([
      { device: 'fs', type: 'fs', frontend: 'qemu', socketPath: fsSocket },
      { device: 'gpu', type: 'gpu', frontend: 'qemu', socketPath: gpuSocket },
    ]);
    // Only one of them can be meant.
    const [output] = await askControl(control, { command: 'outputs' });
    expect(output).to.include({ scanout: 0, width: 800 });
    const stats = (await askControl(control, { command: 'stats' })) as { device: string; connections: number }[];
    expect(stats.map(({ device, connections }) => [device, connections])).to.deep.equal([
      ['fs', 1],
      ['gpu', 1],
    ]);
    const end = await program.stop('SIGTERM');
    expect(end.code, program.stderr).to.equal(0);
    expect([fsSocket, gpuSocket, control].filter((path) => existsSync(path))).to.deep.equal([]);
    expect(program.stdout).to.equal('');
  });

  it('ends as a whole, with 1, when one device cannot be made', async () => {
    const program = start(...devices, '--device=gpu,fd=0');
    expect((await program.end()).code).to.equal(2);
    const late = start(...devices, `--device=gpu,socket-path=${join(dir.path, 'nowhere', 'gpu.sock')}`);
    expect((await late.end()).code).to.equal(1);
    expect(late.stderr).to.include('gpu2: ').and.to.include('ENOENT').and.to.include('stopping: gpu2 failed');
    expect([fsSocket, gpuSocket, control].filter((path) => existsSync(path))).to.deep.equal([]);
  });

  it('ends with 2 and one line for a bad option', async () => {
    const program = start('--device', 'gpu,socket-path=/tmp/x,tag=y');
    expect((await program.end()).code).to.equal(2);
    expect(program.stderr).to.match(/^oriel: --device gpu: unknown tag: .*host-visible.*\n$/);
  });
});
