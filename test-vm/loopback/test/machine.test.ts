import { expect } from 'chai';
import { DaxMapper, FuseClient, GPU_FEATURES, GpuGuest, LoopbackVm } from '../src/index.ts';
import { digest, pattern } from './support/bytes.ts';
import { GpuStage } from './support/gpu-stage.ts';
import { MIB, Share, sys } from './support/share.ts';

describe('a machine with a file system and a GPU', () => {
  let share: Share;
  let stage: GpuStage;
  let stack: DisposableStack;
  let fs: LoopbackVm;
  let gpu: LoopbackVm;
  let client: FuseClient;
  let guest: GpuGuest;

  before(async () => {
    share = await Share.start();
    stage = await GpuStage.start();
  });

  after(async () => {
    await stage?.[Symbol.asyncDispose]();
    await share?.[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    stack = new DisposableStack();
    fs = stack.use(LoopbackVm.connect({ sys, socket: share.socketPath }));
    const options = { sys, socket: stage.socketPath, beside: fs, deviceFeatures: GPU_FEATURES };
    gpu = stack.use(LoopbackVm.connect(options));
    fs.start();
    gpu.start();
    client = new FuseClient(fs);
    client.mount('always');
    guest = new GpuGuest(gpu);
  });

  afterEach(() => {
    for (const { requestsWhileStopped, window } of [fs, gpu]) {
      expect(requestsWhileStopped).to.equal(0);
      expect(window.updateErrors).to.deep.equal([]);
    }
    stack[Symbol.dispose]();
  });

  it('has its windows at different places', () => {
    expect(gpu.window.gpa).to.be.above(fs.window.gpa + fs.window.size);
    expect(gpu.ram).to.equal(fs.ram);
  });

  it('reads a file right into a blob, and writes one from it', () => {
    const bytes = share.put('file', pattern(MIB, 5));
    const blob = guest.createHostBlob({ context: guest.createContext(), size: MIB });
    blob.map();
    const file = client.open('file');
    const buffer = { gpa: gpu.window.gpa + blob.offset, len: MIB };
    expect(client.readInto(file, 0, buffer)).to.equal(MIB);
    expect(digest(blob.read(0, MIB))).to.equal(digest(bytes));
    const fresh = pattern(MIB, 6);
    blob.write(0, fresh);
    expect(client.writeFrom(file, 0, buffer)).to.equal(MIB);
    expect(digest(share.get('file'))).to.equal(digest(fresh));
  });

  it('uses both windows while one of its devices pauses and the other is reset', () => {
    const bytes = share.put('file', pattern(4 * MIB, 7));
    const dax = new DaxMapper(client);
    const { nodeid } = client.lookup('file');
    const seen = new Uint8Array(bytes.length);
    for (let round = 0; round < 3; round++) {
      const context = guest.createContext();
      const blobs = Array.from({ length: 10 }, () => guest.createHostBlob({ context, size: 65536 }));
      for (const [index, blob] of blobs.entries()) {
        blob.map();
        blob.write(0, pattern(65536, index));
      }
      fs.pause();
      guest.outputs();
      fs.resume();
      dax.read(nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(bytes));
      for (const [index, blob] of blobs.entries()) {
        expect(digest(blob.read(0, 65536))).to.equal(digest(pattern(65536, index)));
      }
      dax.evict(nodeid);
      gpu.reset();
      guest.forgetAll();
      dax.read(nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(bytes));
    }
  });

  it('may lose one device and go on with the other', () => {
    const bytes = share.put('file', pattern(2 * MIB, 8));
    const blob = guest.createHostBlob({ context: guest.createContext(), size: 65536 });
    blob.map();
    const { nodeid } = client.lookup('file');
    const dax = new DaxMapper(client);
    const seen = new Uint8Array(bytes.length);
    dax.read(nodeid, 0, seen);
    gpu.crash();
    dax.evict(nodeid);
    dax.read(nodeid, 0, seen);
    expect(digest(seen)).to.equal(digest(bytes));
  });
});
