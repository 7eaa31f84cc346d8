import { fileIdentity } from '@oriel/guest-memory';
import { check, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../../src/index.ts';
import {
  encodeCtxAttachResource,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeCtxDetachResource,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnref,
  encodeSubmit3d,
  type GpuHeader,
} from '../../src/testing/index.ts';
import {
  ALLOCATE,
  CHANNEL_RING,
  INIT,
  makeFile,
  POLL,
  QUERY_RING,
  RING_HEAD,
  SEND,
  SOCKET_CAPSET_ID,
  socketType,
} from '../support/socket-type.ts';
import { GpuRig, PAGE, sys } from './rig.ts';

const OK = VIRTIO_GPU_RESP_OK_NODATA;
const ctxId = 1;
const RING = 2;

describe('a context type that stands between a program and a socket', () => {
  let leaks: LeakCheck;
  let rig: GpuRig;
  let peer: Fd;
  /** The guest's pages of the ring. */
  let ring: Uint8Array;
  let fenceId = 0;

  beforeEach(async () => {
    leaks = leakCheck();
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    peer = new Fd(sys.fd, pair[0]!);
    rig = new GpuRig({ contextTypes: [socketType(() => new Fd(sys.fd, pair[1]!))] });
    const at = rig.host.ram.u8.length / 2 - PAGE;
    ring = rig.host.ram.u8.subarray(at, at + PAGE);
    await rig.status(encodeCtxCreate({ contextInit: SOCKET_CAPSET_ID }, { ctxId }));
    const entries = [{ addr: rig.host.ram.gpa + at, length: PAGE }];
    const fields = { resourceId: RING, blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, size: PAGE, entries };
    expect(await rig.status(encodeResourceCreateBlob(fields))).to.equal(OK);
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    peer.close();
    leaks.check();
  });

  const onRing = (ringIdx: number): GpuHeader => ({ ctxId, fence: { idLo: ++fenceId, ringIdx } });
  const command = (what: number, first = 0, second = 0, header: GpuHeader = onRing(QUERY_RING)) =>
    encodeSubmit3d(new Uint8Array(Uint32Array.of(what, first, second).buffer), header);
  const poll = () => rig.send(command(POLL, 0, 0, onRing(CHANNEL_RING)));
  const attach = (id: number) => rig.status(encodeCtxAttachResource(id, { ctxId }));
  const begin = async () => {
    await attach(RING);
    expect(await rig.status(command(INIT, RING))).to.equal(OK);
  };
  const tell = (text: string, fd: Fd | null = null) => {
    const bytes = new TextEncoder().encode(text);
    const fds = fd === null ? null : Int32Array.of(fd.fd);
    expect(sys.socket.sendmsg(peer.fd, bytes, bytes.length, fds, fd === null ? 0 : 1)).to.equal(bytes.length);
  };
  const inRing = () => {
    const [length = 0, id = 0] = new Uint32Array(ring.slice(0, RING_HEAD).buffer);
    return [new TextDecoder().decode(ring.slice(RING_HEAD, RING_HEAD + length)), id];
  };
  const create = (resourceId: number, blobId: number) => {
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: PAGE, blobId };
    return rig.status(encodeResourceCreateBlob(fields, { ctxId }));
  };

  it('finds its ring only while that is attached', async () => {
    expect(await rig.status(command(INIT, RING))).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    await begin();
    await rig.status(encodeCtxDetachResource(RING, { ctxId }));
    expect(await rig.status(command(INIT, RING))).to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
  });

  it('leaves a fence open until something came, while others are reached', async () => {
    await begin();
    const first = poll();
    const second = poll();
    expect(await rig.settle().then(() => rig.host.driver(0).take())).to.equal(null);
    const query = rig.send(command(INIT, RING));
    expect((await rig.reply()).head).to.equal(query);
    tell('one');
    const answered = await rig.reply();
    expect(answered.head).to.equal(first);
    expect(answered.reply).to.include({ type: OK, ringIdx: CHANNEL_RING, ctxId });
    expect(inRing()).to.deep.equal(['one', 0]);
    tell('two');
    expect((await rig.reply()).head).to.equal(second);
    expect(inRing()).to.deep.equal(['two', 0]);
    // Nobody asks now: it stays in the socket.
    tell('three');
    await rig.settle();
    expect(inRing()).to.deep.equal(['two', 0]);
    const third = poll();
    expect((await rig.reply()).head).to.equal(third);
    expect(inRing()).to.deep.equal(['three', 0]);
  });

  it('makes a blob of a descriptor that came, which outlives the program', async () => {
    await begin();
    using file = makeFile(sys, Uint8Array.of(1, 2, 3), PAGE);
    poll();
    tell('keymap', file);
    await rig.reply();
    expect(inRing()).to.deep.equal(['keymap', 2]);
    expect(await create(10, 2)).to.equal(OK);
    expect(await create(11, 2), 'used up').to.equal(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
    expect((await rig.ask(encodeResourceMapBlob({ resourceId: 10, offset: 0 }))).type).to.equal(
      VIRTIO_GPU_RESP_OK_MAP_INFO,
    );
    expect(await rig.status(encodeCtxDestroy({ ctxId }))).to.equal(OK);
    const bytes = new Uint8Array(3);
    expect(rig.device.resources.get(10)!.read(0, bytes, 0, 3)).to.equal(0);
    expect([...bytes]).to.deep.equal([1, 2, 3]);
    expect(await rig.status(encodeResourceUnref(10))).to.equal(OK);
    expect(rig.device.stats.mappings).to.equal(0);
  });

  it('maps no file that its owner has shrunk meanwhile', async () => {
    await begin();
    using file = makeFile(sys, Uint8Array.of(1), PAGE);
    poll();
    tell('pool', file);
    await rig.reply();
    expect(await create(10, 2)).to.equal(OK);
    check(sys.file.ftruncate(file.fd, 0), 'ftruncate');
    expect((await rig.ask(encodeResourceMapBlob({ resourceId: 10, offset: 0 }))).type).to.equal(
      VIRTIO_GPU_RESP_ERR_UNSPEC,
    );
    expect(rig.host.transport.sent).to.deep.equal([]);
  });

  it('sends the memory of a blob that it allocated, by an answer that comes later', async () => {
    await begin();
    expect(await rig.status(command(ALLOCATE, PAGE))).to.equal(OK);
    expect(inRing()).to.deep.equal(['', 2]);
    expect(await create(10, 2)).to.equal(OK);
    expect(await rig.status(command(SEND, 65, 10)), 'not attached').to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    await attach(10);
    expect(await rig.status(command(SEND, 65, RING)), 'guest pages').to.equal(VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
    expect(await rig.status(command(SEND, 65, 10))).to.equal(OK);
    const received = sys.socket.makeRecvResult(1);
    const byte = new Uint8Array(1);
    expect(sys.socket.recvmsg(peer.fd, byte, 1, received)).to.equal(1);
    using theirs = new Fd(sys.fd, received.fds[0]!);
    expect(fileIdentity(sys, theirs.fd)).to.deep.equal(fileIdentity(sys, rig.device.resources.get(10)!.host!.fd));
  });

  it('touches no guest page while the VM stands still', async () => {
    await begin();
    const head = poll();
    await rig.settle();
    rig.host.pause();
    tell('late');
    await rig.settle();
    expect(inRing()).to.deep.equal(['', 0]);
    rig.host.start();
    expect((await rig.reply()).head).to.equal(head);
    expect(inRing()).to.deep.equal(['late', 0]);
  });

  it('lets the program go that waits for its socket', async () => {
    await begin();
    const waiting = [poll(), poll()];
    const destroy = rig.send(encodeCtxDestroy({ ctxId }));
    const heads = [await rig.reply(), await rig.reply(), await rig.reply()].map(({ head }) => head);
    expect(heads).to.have.members([...waiting, destroy]);
    expect(sys.socket.recvmsg(peer.fd, new Uint8Array(1), 1, sys.socket.makeRecvResult(0)), 'end of stream').to.equal(
      0,
    );
  });
});
