import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeReply, encodeGetCapset, type GpuReply } from '@oriel/gpu-blob/testing';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { bytesOf } from './support/bytes.ts';
import { sys } from './support/rig.ts';

const example = fileURLToPath(new URL('../examples/serve-wayland.ts', import.meta.url));
const HEADER = 24;
const OK_CAPSET = 0x1103;

describe('the example', () => {
  it('offers the Wayland channel to a front-end, and ends when it leaves', async () => {
    using dir = tempDir();
    const socketPath = `${dir.path}/gpu`;
    const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', example];
    const child = spawn(process.execPath, [...args, socketPath, `${dir.path}/wayland-0`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    {
      using loop = new BlockingLoop(sys);
      const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
      const announce = () => ({ gpa: 2 ** 36, userAddr: 0x7e00_0000_0000 });
      using mock = new MockFrontend({ sys, loop, socket, ramSize: 1 << 20, announce });
      mock.connect();
      const place = { gpa: MockFrontend.RAM_GPA, len: 1 << 20, size: 16, eventIdx: true };
      const memory = { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA };
      const driver = new MockDriver({ memory, ...place, kick: () => mock.kick(0) });
      const { callFd } = mock.startRing(0, driver);
      using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
      driver.send([encodeGetCapset(5, 0)], [HEADER + 16]);
      let taken = driver.take();
      mock.runUntil(() => (taken ??= driver.take()) !== null);
      const reply: GpuReply = decodeReply(taken!.bytes.subarray(0, taken!.written));
      expect(reply).to.deep.include({ type: OK_CAPSET, data: bytesOf(16, { 0: 1, 4: 2 }) });
    }
    expect(await ended).to.deep.equal([0, null]);
  });

  it('stands in the README', () => {
    const code = readFileSync(example, 'utf8').replace(/^.*\n/, '');
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).to.include(code.trim());
  });
});
