import { closeSync, openSync } from 'node:fs';
import { BackendRegion, type RegionLimits } from '@oriel/shm-region';
import { MockTransport, testLimits } from '@oriel/shm-region/testing';
import { check, F_SEAL_WRITE, openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Complaints } from '../../src/complaints.ts';
import { BlobMappings } from '../../src/mapping/blob-mappings.ts';
import {
  VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/protocol/values.ts';
import type { Resource } from '../../src/resources/resource.ts';
import { ResourceTable } from '../../src/resources/table.ts';
import { FileBlob } from '../resources/support/doubles.ts';
import { collectLog } from '../support/channel-setup.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC;
const sys = openSys();
const PAGE = sys.mem.pageSize;
const SIZE = 16 * PAGE;

/** Mappings over a region whose front-end answers when the test says so. */
class Setup implements Disposable {
  readonly transport = new MockTransport();
  readonly region: BackendRegion;
  readonly table = new ResourceTable({ sys, maxHostmem: 1 << 20, maxResources: 64 });
  readonly mappings: BlobMappings;
  readonly lines: string[];
  due = 0;

  constructor(limits: Partial<RegionLimits> = {}, maxMappings = 64) {
    const { log, lines } = collectLog();
    this.lines = lines;
    this.region = new BackendRegion({ shmid: 1, size: SIZE, limits: testLimits({ pageSize: PAGE, ...limits }) });
    this.region.setTransport(this.transport);
    this.mappings = new BlobMappings({
      sys,
      complaints: new Complaints(log, sys.loop),
      maxMappings,
      onDue: () => this.due++,
    });
    this.mappings.attach(this.region);
  }

  blob(id: number, size = PAGE): { resource: Resource; host: FileBlob } {
    const host = new FileBlob(sys, new Uint8Array(size));
    const parts = { blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, blobFlags: VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE, backing: null };
    expect(this.table.reserve(id, size)).to.equal(OK);
    expect(this.table.addBlob({ id, size, host, hostBytes: size, ...parts })).to.equal(OK);
    return { resource: this.table.get(id)!, host };
  }

  /** Maps. @returns the answers so far */
  map(resource: Resource, offset: number): number[] {
    const answers: number[] = [];
    this.mappings.map(resource, offset, (status) => answers.push(status));
    return answers;
  }

  /** What a reset of the device does here. */
  reset(): void {
    this.mappings.clear();
    this.table.clear((resource) => this.mappings.retire(resource));
  }

  [Symbol.dispose](): void {
    this.region.forget();
    this.reset();
    this.mappings.attach(null);
  }
}

describe('BlobMappings', () => {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('frees at a reset what an unref gave away, although its unmap was not answered', () => {
    using setup = new Setup();
    const { host } = setup.blob(1);
    setup.map(setup.table.get(1)!, 0);
    setup.transport.answerAll();
    setup.mappings.drop(setup.table.remove(1)!, () => {});
    expect(host.disposals).to.equal(0);
    setup.region.suspend();
    setup.region.forget();
    setup.reset();
    expect([host.disposals, setup.table.hostmem.used]).to.deep.equal([1, 0]);
  });

  it('frees memory only when the guest lost sight of it, where a reset keeps mappings', () => {
    using setup = new Setup();
    const kept = setup.blob(1);
    const dropped = setup.blob(2);
    const flying = setup.blob(3);
    const plain = setup.blob(4);
    for (const { resource } of [kept, dropped]) setup.map(resource, resource.id * PAGE);
    setup.transport.answerAll();
    setup.map(flying.resource, 3 * PAGE);
    setup.mappings.drop(setup.table.remove(2)!, () => expect.fail('that driver is gone'));
    setup.transport.ready = false;
    setup.region.suspend();
    setup.reset();
    const disposals = () => [kept, dropped, flying, plain].map(({ host }) => host.disposals);
    expect(disposals()).to.deep.equal([0, 0, 0, 1]);
    expect(setup.mappings.size, 'the next driver starts with none').to.equal(0);
    expect(setup.table.hostmem.used, 'but not with their memory').to.equal(3 * PAGE);
    // A second reset before anything could be sent.
    setup.reset();
    setup.transport.ready = true;
    setup.region.resume();
    setup.mappings.resume();
    const next = setup.blob(1);
    const answers = setup.map(next.resource, PAGE);
    setup.transport.answerAll();
    expect(answers).to.deep.equal([OK]);
    expect(disposals()).to.deep.equal([1, 1, 1, 1]);
    expect(setup.region.entries().map(({ owner, state }) => [owner, state])).to.deep.equal([[next.resource, 'live']]);
    expect(setup.table.hostmem.used).to.equal(PAGE);
  });

  it('waits again for the end of old mappings when the rings stop before it', () => {
    using setup = new Setup();
    const blobs = [setup.blob(1), setup.blob(2)];
    for (const { resource } of blobs) setup.map(resource, resource.id * PAGE);
    setup.transport.answerAll();
    setup.reset();
    setup.region.suspend();
    expect(setup.due).to.be.above(0);
    setup.transport.answerAll();
    setup.region.resume();
    setup.mappings.resume();
    setup.transport.answerAll();
    expect(blobs.map(({ host }) => host.disposals)).to.deep.equal([1, 1]);
  });

  it('lets go of everything when the front-end leaves', () => {
    using setup = new Setup();
    const { resource, host } = setup.blob(1);
    setup.map(resource, 0);
    setup.transport.answerAll();
    setup.reset();
    expect(host.disposals).to.equal(0);
    setup.region.forget();
    setup.mappings.attach(null);
    expect(host.disposals).to.equal(1);
  });

  it('refuses a blob at the place of another, also where the front-end would replace it', () => {
    using setup = new Setup({ overlap: 'replace' });
    const [first, second] = [setup.blob(1), setup.blob(2)];
    setup.map(first.resource, 0);
    setup.transport.answerAll();
    expect(setup.map(second.resource, 0)).to.deep.equal([UNSPEC]);
    setup.mappings.unmap(first.resource, () => {});
    const answers = setup.map(second.resource, 0);
    setup.transport.answerAll();
    expect(answers).to.deep.equal([OK]);
  });

  it('counts no mapping that is on its way out', () => {
    using setup = new Setup({}, 2);
    const blobs = [1, 2, 3, 4].map((id) => setup.blob(id).resource);
    for (const resource of blobs.slice(0, 2)) setup.map(resource, resource.id * PAGE);
    setup.transport.answerAll();
    expect(setup.map(blobs[2]!, 3 * PAGE)).to.deep.equal([VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY]);
    setup.mappings.unmap(blobs[0]!, () => {});
    const answers = setup.map(blobs[2]!, 3 * PAGE);
    expect(setup.map(blobs[3]!, 4 * PAGE)).to.deep.equal([VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY]);
    setup.transport.answerAll();
    expect(answers).to.deep.equal([OK]);
  });

  it('sends no file that became too short: a front-end could grow it, or die of it', () => {
    using setup = new Setup();
    const [first, shrunk] = [setup.blob(1), setup.blob(2, 2 * PAGE)];
    setup.map(first.resource, 0);
    const answers = setup.map(shrunk.resource, 4 * PAGE);
    shrunk.host.truncate(0);
    setup.transport.answerAll();
    expect(answers).to.deep.equal([UNSPEC]);
    expect(setup.transport.sent.map(({ wire }) => wire.shmOffset)).to.deep.equal([0]);
    expect(setup.mappings.size).to.equal(1);
  });

  it('sends no file that the guest could not write: some front-ends end the VM then', () => {
    using setup = new Setup({ insideFile: false, growsEmptyFile: false });
    const [plain, sealed] = [setup.blob(1), setup.blob(2)];
    const path = `/proc/self/fd/${plain.host.fd}`;
    const readOnly = openSync(path, 'r');
    check(sys.mem.addSeals(sealed.host.fd, F_SEAL_WRITE), 'fcntl');
    const answers = setup.map(sealed.resource, 0);
    Object.defineProperty(plain.host, 'fd', { value: readOnly });
    answers.push(...setup.map(plain.resource, PAGE));
    closeSync(readOnly);
    expect(answers).to.deep.equal([UNSPEC, UNSPEC]);
    expect(setup.transport.sent).to.deep.equal([]);
    expect(setup.lines).to.have.length(2);
  });

  it('answers each map once, whatever stops come', () => {
    using setup = new Setup();
    const [first, second] = [setup.blob(1), setup.blob(2)];
    const answers = [setup.map(first.resource, 0), setup.map(second.resource, PAGE)];
    for (let round = 0; round < 3; round++) {
      setup.region.suspend();
      setup.region.suspend();
      setup.mappings.resume();
      setup.region.resume();
      setup.mappings.resume();
    }
    setup.transport.answerAll();
    expect(answers).to.deep.equal([[OK], [OK]]);
    const gone: string[] = [];
    setup.mappings.unmap(first.resource, () => gone.push('unmapped'));
    setup.mappings.drop(setup.table.remove(1)!, () => gone.push('dropped'));
    setup.region.suspend();
    setup.transport.answerAll();
    setup.region.resume();
    setup.mappings.resume();
    setup.transport.answerAll();
    expect(gone).to.deep.equal(['unmapped', 'dropped']);
    expect(first.host.disposals).to.equal(1);
  });
});
