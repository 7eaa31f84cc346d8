/** A device that is handed over to another process, under a front-end that notices nothing. */
import { join } from 'node:path';
import { BlockingLoop } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import { LocalStore, serve } from '@oriel/virtio-device';
import { ConnectedMachine } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import {
  type ContextHost,
  type ContextType,
  GpuDevice,
  MEMORY_CAPSET_ID,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import * as encode from '../../src/testing/index.ts';
import { PAGE, SlowContext, sys, WINDOW } from '../device/rig.ts';

const SLOW_CAPSET = 9;
const slow = { ctxId: 2 };

describe('a hand-over', () => {
  it('leaves resources and fences to the next process', async () => {
    const leaks = leakCheck();
    {
      using dir = tempDir();
      using store = new LocalStore(sys.fd);
      using loop = new BlockingLoop(sys);
      const contexts: SlowContext[] = [];
      const create = (host: ContextHost): SlowContext => {
        contexts.push(new SlowContext(host));
        return contexts.at(-1)!;
      };
      const type: ContextType = {
        capsetId: SLOW_CAPSET,
        name: 'slow',
        maxVersion: 0,
        capset: new Uint8Array(0),
        create,
        restore: create,
      };
      const begin = (): { device: GpuDevice; server: Disposable & { handOver(): boolean } } => {
        const contextTypes = [new MemoryContextType({ sys }), type];
        const device = new GpuDevice({ sys, hostVisible: WINDOW, contextTypes, survive: true });
        const profile = profileFor('strict', PAGE);
        return {
          device,
          server: serve(device, { sys, loop, profile, socketPath: join(dir.path, 's'), survive: { store } }),
        };
      };
      const old = begin();
      using machine = new ConnectedMachine({ sys, socketPath: join(dir.path, 's'), loop });
      const { mock, window } = machine;
      const driver = machine.start(0);
      const send = (command: Uint8Array): number => driver.send([command], [encode.replySize(encode.typeOf(command))]);
      const answer = (): { head: number; type: number } => {
        const { head, bytes } = machine.answer(driver);
        return { head, type: encode.decodeReply(bytes).type };
      };
      const ask = (command: Uint8Array): number => {
        send(command);
        return answer().type;
      };
      expect(ask(encode.encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID }, { ctxId: 1 }))).to.equal(
        VIRTIO_GPU_RESP_OK_NODATA,
      );
      expect(ask(encode.encodeCtxCreate({ contextInit: SLOW_CAPSET }, slow))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
      const blob = { resourceId: 1, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE };
      expect(ask(encode.encodeResourceCreateBlob(blob, { ctxId: 1 }))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
      ask(encode.encodeResourceMapBlob({ resourceId: 1, offset: 4 * PAGE }));
      const heads = [1, 2].map((idLo) =>
        send(encode.encodeSubmit3d(Uint8Array.of(idLo), { ...slow, fence: { idLo, ringIdx: 1 } })),
      );
      mock.runUntil(() => contexts[0]!.fences.length === 2);

      expect(old.server.handOver()).to.equal(true);
      old.server[Symbol.dispose]();
      old.device[Symbol.dispose]();
      const next = begin();
      mock.runUntil(() => contexts[1]?.fences.length === 2);
      expect(next.device.stats).to.include({ resources: 1, contexts: 2, mappings: 1, waiting: 2 });
      expect(driver.take()).to.equal(null);
      for (const { done } of contexts[1]!.fences) done();
      expect([answer().head, answer().head]).to.deep.equal(heads);
      expect(contexts[1]!.submits).to.deep.equal([]);
      expect(ask(encode.encodeResourceUnref(1))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
      expect([...window.keys()]).to.deep.equal([]);
      expect(store.names.filter((name) => name.includes('.kept.'))).to.deep.equal([]);
      next.server[Symbol.dispose]();
      next.device[Symbol.dispose]();
    }
    await leaks.settled();
  });
});
