import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { MemoryFilesystem } from '@oriel/fuse/testing';
import { BlockingLoop, NodeLoop } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { deviceConformance, type SampleRequest } from '@oriel/virtio-device/testing';
import { DAX_RANGE, FsDevice } from '../src/index.ts';
import { ALWAYS, READ, sys } from './support/rig.ts';

type Encode = (request: RequestEncoder) => RequestEncoder;

/** A request, and that it must be answered with success, or at least answered. */
function sample(encode: Encode, verdict: 'succeeds' | 'is answered'): SampleRequest {
  const request = new RequestEncoder();
  const { bytes, len, room } = encode(request);
  return {
    queue: 1,
    readable: [bytes.slice(0, len)],
    writable: [room],
    verify: ({ written, bytes: reply }) => {
      const { error } = new ReplyDecoder().take(request, reply, written);
      if (error !== 0 && verdict === 'succeeds') throw new Error(`${request.opcode}: errno ${error}`);
    },
  };
}

const requests = [
  sample((r) => r.init(ALWAYS), 'succeeds'),
  sample((r) => r.lookup(1, 'file'), 'succeeds'),
  sample((r) => r.setupmapping(2, 0, 2 * DAX_RANGE, READ, DAX_RANGE), 'is answered'),
  sample((r) => r.getattr(1), 'succeeds'),
  sample((r) => r.removemapping(2, [DAX_RANGE, DAX_RANGE]), 'is answered'),
];
const drivers = { blocking: () => new BlockingLoop(sys), node: () => new NodeLoop(sys) };

for (const [driver, makeLoop] of Object.entries(drivers)) {
  describe(`deviceConformance, ${driver} driver`, () => {
    let dir: TempDir;
    before(() => {
      makeLoop()[Symbol.dispose]();
      leakCheck().check();
      dir = tempDir();
      for (const name of ['share', 'state']) mkdirSync(join(dir.path, name));
      writeFileSync(join(dir.path, 'share/file'), Buffer.alloc(DAX_RANGE + 5));
    });
    after(() => dir[Symbol.dispose]());

    const withWindow = (): FsDevice => {
      const sharedDir = join(dir.path, 'share');
      const limits = { maxInodes: 1000, maxHandles: 100, maxDirStreams: 10 };
      const fs = new PassthroughFilesystem({ sys, sharedDir, limits });
      const dax = { tail: 'grow', stateDir: join(dir.path, 'state') } as const;
      const device = new FsDevice({ sys, fs, tag: 'share', windowSize: 16 << 20, sharedDir, dax, survive: true });
      const dispose = device[Symbol.dispose].bind(device);
      device[Symbol.dispose] = () => {
        dispose();
        fs[Symbol.dispose]();
      };
      return device;
    };
    const plain = (): FsDevice => new FsDevice({ sys, fs: new MemoryFilesystem(), tag: 'memory', numRequestQueues: 3 });

    for (const { name, run } of deviceConformance(withWindow, { sys, makeLoop, requests, survives: true })) {
      it(`with a window: ${name}`, run);
    }
    for (const { name, run } of deviceConformance(plain, { sys, makeLoop, requests: requests.slice(0, 1) })) {
      it(`without one: ${name}`, run);
    }
  });
}
