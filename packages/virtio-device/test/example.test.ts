import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { driverOn, frontendOn, startRing, sys } from './machine.ts';

const example = new URL('../examples/serve-rng.ts', import.meta.url).pathname;

describe('the example, as a program', () => {
  it('gives entropy to a front-end over a socket and ends when it leaves', async () => {
    using dir = tempDir();
    const path = join(dir.path, 'rng.sock');
    const child = spawn(process.execPath, ['--conditions=@oriel/source', example, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    const leaks = leakCheck();
    {
      using loop = new BlockingLoop(sys);
      using mock = frontendOn(loop, new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connect')));
      const driver = driverOn(mock, 0);
      const { callFd } = startRing(mock, 0, driver);
      using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
      driver.send([], [64, 64]);
      let reply = driver.take();
      mock.runUntil(() => (reply ??= driver.take()) !== null);
      expect(reply!.written).to.equal(128);
      expect(new Set(reply!.bytes).size).to.be.greaterThan(16);
    }
    leaks.check();
    expect(await ended).to.deep.equal([0, null]);
    expect(existsSync(path)).to.equal(false);
  });
});
