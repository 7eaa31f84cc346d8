import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, Mapping, NodeLoop, openOffload, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { deviceConformance, MockHost } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import {
  FLUSH_DONE,
  FLUSH_FAILED,
  PMEM_ALIGN,
  PmemDevice,
  PmemError,
  PmemImage,
  VIRTIO_PMEM_F_SHMEM_REGION,
  VirtioPmemConfig,
  VirtioPmemReq,
  VirtioPmemResp,
} from '../src/index.ts';

const sys = openSys();
const FLUSH = new Uint8Array(VirtioPmemReq.byteLength);

describe('PmemDevice', () => {
  let dir: TempDir;
  let path: string;
  before(() => {
    dir = tempDir();
    path = join(dir.path, 'image');
    writeFileSync(path, randomBytes(2 * PMEM_ALIGN));
  });
  after(() => dir[Symbol.dispose]());

  async function withDevice(body: (host: MockHost, device: PmemDevice, loop: BlockingLoop) => Promise<void>) {
    using loop = new BlockingLoop(sys);
    using offload = openOffload(sys, loop);
    using image = PmemImage.open(sys, path);
    using device = new PmemDevice({ image });
    using host = new MockHost(device, { sys, loop, offload });
    await body(host, device, loop);
  }
  const flush = async (host: MockHost, request: Uint8Array = FLUSH): Promise<number> => {
    const { written, bytes } = await host.request(0, [request], [VirtioPmemResp.byteLength]);
    expect(written).to.equal(VirtioPmemResp.byteLength);
    return VirtioPmemResp.ret.get(new DataView(bytes.buffer), 0);
  };

  it('maps the whole file once when the driver starts, and again after a reset', () =>
    withDevice(async (host, device) => {
      host.attach();
      expect(host.transport.sent).to.have.length(0);
      host.start();
      await host.until(() => device.mapped);
      expect(host.transport.sent).to.have.length(1);
      expect(host.transport.sent[0]!.request).to.include({ shmOffset: 0, fdOffset: 0, len: 2 * PMEM_ALIGN });
      host.pause();
      host.start();
      expect(await flush(host)).to.equal(FLUSH_DONE);
      expect(host.transport.sent, 'a pause keeps it').to.have.length(1);
      host.reset();
      expect(device.mapped).to.equal(false);
      host.start();
      expect(await flush(host)).to.equal(FLUSH_DONE);
      expect(host.transport.sent).to.have.length(2);
    }));

  it('offers SHMEM_REGION and says its size', () =>
    withDevice(async (_host, device) => {
      expect(device.features.has(VIRTIO_PMEM_F_SHMEM_REGION)).to.equal(true);
      const view = new DataView(device.config.buffer);
      expect([VirtioPmemConfig.start.get(view, 0), VirtioPmemConfig.size.get(view, 0)]).to.deep.equal([
        0,
        2 * PMEM_ALIGN,
      ]);
    }));

  it('answers a flush only when the memory is there, and it is a flush', () =>
    withDevice(async (host, device) => {
      host.attach();
      host.transport.behaviour.delayMs = 30;
      host.start();
      const reply = flush(host);
      expect(device.mapped).to.equal(false);
      expect(await reply).to.equal(FLUSH_DONE);
      expect(device.mapped).to.equal(true);
      expect(await flush(host, Uint8Array.of(1, 0, 0, 0))).to.equal(FLUSH_FAILED);
      expect(await flush(host, Uint8Array.of(0, 0))).to.equal(FLUSH_FAILED);
      const { written } = await host.request(0, [FLUSH], []);
      expect(written).to.equal(0);
    }));

  it('fails every flush when the front-end does not map the file', () =>
    withDevice(async (host, device) => {
      host.attach();
      host.transport.behaviour.answer = () => -22;
      host.start();
      expect(await flush(host)).to.equal(FLUSH_FAILED);
      expect(device.mapped).to.equal(false);
    }));

  it('asks for the map again when a stop came between', () =>
    withDevice(async (host, device) => {
      host.attach();
      host.transport.behaviour.delayMs = 20;
      host.start();
      host.pause();
      host.start();
      await host.until(() => device.mapped);
      expect(await flush(host)).to.equal(FLUSH_DONE);
    }));

  it('answers many flushes, each once', () =>
    withDevice(async (host) => {
      host.attach();
      host.start();
      const driver = host.driver(0);
      for (let i = 0; i < 32; i++) driver.send([FLUSH], [4]);
      let answers = 0;
      await host.until(() => {
        for (let reply = driver.take(); reply !== null; reply = driver.take()) {
          expect(reply.bytes[0]).to.equal(FLUSH_DONE);
          answers++;
        }
        return answers === 32;
      });
    }));

  it('is the file: what is stored through the mapping is read from it', () => {
    using image = PmemImage.open(sys, path);
    using window = Mapping.shared(sys.mem, image.fd, image.size, 0, PROT_READ | PROT_WRITE);
    window.u8.set([1, 2, 3], PMEM_ALIGN);
    expect([...readFileSync(path).subarray(PMEM_ALIGN, PMEM_ALIGN + 3)]).to.deep.equal([1, 2, 3]);
  });

  it('refuses files that cannot be a region, and a file in use, and leaves nothing open', () => {
    const leaks = leakCheck();
    const open = (name: string) => () => PmemImage.open(sys, name);
    expect(open(join(dir.path, 'none'))).to.throw(PmemError, /ERR_PMEM_FILE.*open: ENOENT/);
    mkdirSync(join(dir.path, 'folder'));
    expect(open(join(dir.path, 'folder'))).to.throw(PmemError, /ERR_PMEM_FILE/);
    expect(open('/dev/null')).to.throw(PmemError, /no regular file/);
    const odd = join(dir.path, 'odd');
    writeFileSync(odd, '');
    expect(open(odd)).to.throw(PmemError, /ERR_PMEM_SIZE/);
    truncateSync(odd, PMEM_ALIGN + 4096);
    expect(open(odd)).to.throw(PmemError, /multiple of 2 MiB/);
    {
      using _image = PmemImage.open(sys, path);
      expect(open(path)).to.throw(PmemError, /lock: EAGAIN/);
    }
    leaks.check();
  });

  const drivers = { blocking: () => new BlockingLoop(sys), node: () => new NodeLoop(sys) };
  for (const [driver, makeLoop] of Object.entries(drivers)) {
    describe(`deviceConformance, ${driver} driver`, () => {
      before(() => makeLoop()[Symbol.dispose]());
      const make = (): PmemDevice => {
        const image = PmemImage.open(sys, path);
        const device = new PmemDevice({ image });
        const dispose = device[Symbol.dispose].bind(device);
        device[Symbol.dispose] = () => {
          dispose();
          image[Symbol.dispose]();
        };
        return device;
      };
      const requests = [{ queue: 0, readable: [FLUSH], writable: [VirtioPmemResp.byteLength] }];
      for (const { name, run } of deviceConformance(make, { sys, makeLoop, requests })) it(name, run);
    });
  }

  it('leaves nothing behind', async () => {
    await withDevice(async () => {});
    const leaks = leakCheck();
    await withDevice(async (host) => {
      host.attach();
      host.start();
      await flush(host);
    });
    await leaks.settled();
  });
});
