import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Mapping, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { ConnectedMachine, ServedProgram } from '@oriel/virtio-device/testing';
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

describe('the examples', () => {
  it('serve-gpu.ts gives a front-end the memory of a blob, and ends when it leaves', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'socket');
    await using program = await ServedProgram.start(example, socketPath);
    using _leaks = leakCheck();
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const driver = machine.start(0);
      const status = (command: Uint8Array): number => {
        const { bytes, written } = machine.ask(driver, [command], [replySize(typeOf(command))]);
        return decodeReply(bytes.subarray(0, written)).type;
      };
      const blob = { resourceId: 2, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE };
      expect(status(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 1 }))).to.equal(
        VIRTIO_GPU_RESP_OK_NODATA,
      );
      expect(status(encodeResourceCreateBlob(blob, { ctxId: 1 }))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
      expect(status(encodeResourceMapBlob({ resourceId: 2, offset: 0 }))).to.equal(VIRTIO_GPU_RESP_OK_MAP_INFO);
      using window = Mapping.shared(sys.mem, machine.window.get(0)!.fd.fd, PAGE, 0, PROT_READ | PROT_WRITE);
      expect(window.u8).to.have.length(PAGE);
    }
    expect(await program.ended).to.deep.equal([0, null]);
    expect(program.text).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
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
