import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, Mapping, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { greetingType } from '../examples/greeting-context.ts';
import {
  MEMORY_CAPSET_ID,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../src/index.ts';
import {
  decodeReply,
  encodeCtxCreate,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  replySize,
  typeOf,
} from '../src/testing/index.ts';
import { GpuRig, PAGE, sys } from './device/rig.ts';

const example = fileURLToPath(new URL('../examples/serve-gpu.ts', import.meta.url));
const WINDOW = { gpa: 0x2_0000_0000, userAddr: 0x7e00_0000_0000 };

describe('the examples', () => {
  it('serve-gpu.ts gives a front-end the memory of a blob, and ends when it leaves', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'socket');
    const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', example, socketPath];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    const said: string[] = [];
    child.stdout.on('data', (data) => said.push(String(data)));
    await once(child.stdout, 'data');
    using _leaks = leakCheck();
    {
      using loop = new BlockingLoop(sys);
      let mapped: Fd | null = null;
      using mock = new MockFrontend({
        sys,
        loop,
        socket: new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect')),
        ramSize: 1 << 20,
        announce: () => WINDOW,
        handlers: {
          shmemMap: (_request, fd) => {
            mapped = fd;
            return 0;
          },
          shmemUnmap: () => 0,
        },
      });
      mock.connect();
      const memory = { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA };
      const place = { memory, gpa: memory.gpa, len: 1 << 20, size: 16, eventIdx: true };
      const driver = new MockDriver({ ...place, kick: () => mock.kick(0) });
      const { callFd } = mock.startRing(0, driver);
      using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
      const status = (command: Uint8Array): number => {
        driver.send([command], [replySize(typeOf(command))]);
        let reply = driver.take();
        mock.runUntil(() => (reply ??= driver.take()) !== null);
        return decodeReply(reply!.bytes.subarray(0, reply!.written)).type;
      };
      const blob = { resourceId: 2, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE };
      expect(status(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 1 }))).to.equal(
        VIRTIO_GPU_RESP_OK_NODATA,
      );
      expect(status(encodeResourceCreateBlob(blob, { ctxId: 1 }))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
      expect(status(encodeResourceMapBlob({ resourceId: 2, offset: 0 }))).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
      using file = mapped! as Fd;
      using window = Mapping.shared(sys.mem, file.fd, PAGE, 0, PROT_READ | PROT_WRITE);
      expect(window.u8).to.have.length(PAGE);
    }
    expect(await ended).to.deep.equal([0, null]);
    expect(said.join('')).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
  });

  for (const name of ['serve-gpu.ts', 'greeting-context.ts']) {
    it(`${name} stands in the README`, () => {
      const code = readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8').replace(/^.*\n/, '');
      expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).to.include(code.trim());
    });
  }

  it('greeting-context.ts greets in the memory of a blob', async () => {
    using rig = new GpuRig({ contextTypes: [greetingType(sys, 'hello')] });
    await rig.context(1, 29);
    expect(await rig.blob(2)).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
    const bytes = new Uint8Array(11);
    rig.device.resources.get(2)!.read(0, bytes, 0, bytes.length);
    expect(Buffer.from(bytes).toString()).to.equal('hello, test');
  });
});
