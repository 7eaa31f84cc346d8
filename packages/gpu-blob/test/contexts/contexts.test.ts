import { EAGAIN, openSys } from '@oriel/sys';
import type { DeviceHost } from '@oriel/virtio-device';
import { expect } from 'chai';
import { Capsets } from '../../src/contexts/capsets.ts';
import type { Context, ContextHost, ContextResource, ContextType } from '../../src/contexts/context-type.ts';
import { Contexts } from '../../src/contexts/contexts.ts';
import {
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/protocol/values.ts';
import { ResourceTable } from '../../src/resources/table.ts';
import { FileBlob } from '../resources/support/doubles.ts';
import { Guest } from '../resources/support/guest.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const sys = openSys();
const PAGE = sys.mem.pageSize;

/** Notes what it is told, and keeps what it is given. */
class NosyType implements ContextType {
  readonly capsetId = 7;
  readonly name = 'nosy';
  readonly maxVersion = 0;
  readonly capset = new Uint8Array(0);
  readonly calls: string[] = [];
  readonly hosts: ContextHost[] = [];
  readonly seen: ContextResource[] = [];

  create(host: ContextHost): Context {
    this.hosts.push(host);
    const { calls, seen } = this;
    return {
      submit: (_commands, done) => done(OK),
      fence: (_ring, done) => done(),
      createBlob: () => VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
      attach(resource) {
        seen.push(resource);
        calls.push(`attach ${resource.id}`);
      },
      detach: ({ id }) => calls.push(`detach ${id}`),
      suspend: () => calls.push('suspend'),
      resume: () => calls.push('resume'),
      [Symbol.dispose]: () => calls.push('end'),
    };
  }
}

describe('Contexts', () => {
  const host = { sys, loop: null, log: null, offload: null } as unknown as DeviceHost;
  let type: NosyType;
  let table: ResourceTable;
  let contexts: Contexts;
  beforeEach(() => {
    type = new NosyType();
    table = new ResourceTable({ sys, maxHostmem: 1 << 20, maxResources: 16 });
    contexts = new Contexts(new Capsets([type]), 4, 3);
    contexts.resume();
  });
  afterEach(() => table[Symbol.dispose]());

  const blob = (id: number) => {
    const parts = { blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, blobFlags: 0, backing: null, hostBytes: 0 };
    table.addBlob({ id, size: PAGE, host: new FileBlob(sys, new Uint8Array(PAGE)), ...parts });
    return table.get(id)!;
  };

  it('bounds the attachments of all contexts together', () => {
    for (const ctxId of [1, 2]) contexts.create(host, ctxId, 0, '');
    const blobs = [1, 2].map(blob);
    const attach = (ctxId: number, index: number) => contexts.attach(ctxId, blobs[index]!);
    expect([attach(1, 0), attach(1, 1), attach(2, 0), attach(2, 0), attach(2, 1)]).to.deep.equal([
      ...[OK, OK, OK, OK],
      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
    ]);
    contexts.detach(1, 1);
    expect(attach(2, 1)).to.equal(OK);
    contexts.forget(1);
    contexts.destroy(2);
    contexts.create(host, 3, 0, '');
    expect([attach(3, 0), attach(3, 1), attach(1, 1), attach(1, 0)]).to.deep.equal([
      ...[OK, OK, OK],
      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
    ]);
  });

  it('shows no descriptor of a resource that is gone, nor any resource to a context that is', () => {
    contexts.create(host, 1, 0, '');
    const resource = blob(1);
    contexts.attach(1, resource);
    const [seen] = type.seen;
    expect(type.hosts[0]!.resource(1)).to.equal(seen);
    expect(seen!.fd).to.be.above(0);
    contexts.forget(1);
    table.remove(1)![Symbol.dispose]();
    expect(seen!.fd).to.equal(-1);
    contexts.attach(1, blob(2));
    contexts.destroy(1);
    expect(type.hosts[0]!.resource(2)).to.equal(null);
    expect(type.calls).to.deep.equal(['attach 1', 'detach 1', 'attach 2', 'end']);
  });

  it('keeps contexts off the guest pages while the VM stands still, and tells them', () => {
    using guest = new Guest(sys);
    contexts.create(host, 1, 0, '');
    const backing = guest.pages([guest.ram.gpa, PAGE]);
    const parts = { blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, blobFlags: 0, host: null, hostBytes: 0 };
    table.addBlob({ id: 1, size: PAGE, backing, ...parts });
    contexts.attach(1, table.get(1)!);
    const ring = type.seen[0]!;
    const write = () => ring.writeBacking(0, Uint8Array.of(7), 0, 1);
    const read = () => ring.readBacking(0, new Uint8Array(1), 0, 1);
    contexts.suspend();
    contexts.suspend();
    expect([write(), read(), guest.ram.u8[0]]).to.deep.equal([-EAGAIN, -EAGAIN, 0]);
    contexts.resume();
    contexts.resume();
    expect([write(), read(), guest.ram.u8[0]]).to.deep.equal([0, 0, 7]);
    expect(type.calls).to.deep.equal(['attach 1', 'suspend', 'resume']);
  });
});
