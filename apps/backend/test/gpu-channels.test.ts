/** `oriel gpu --channel`: a guest program and a socket of the host. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { CrossDomainInit, CrossDomainSendReceive } from '@oriel/cross-domain';
import { VIRTIO_GPU_BLOB_MEM_GUEST, VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_OK_NODATA } from '@oriel/gpu-blob';
import {
  encodeCtxAttachResource,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeResourceCreateBlob,
  encodeSubmit3d,
} from '@oriel/gpu-blob/testing';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { GpuGuest } from './fixtures/gpu-guest.ts';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';
const CAPSET = 5;
const PAGE = 4096;
const RING = 2;
const WAYLAND = 1;
const X11 = 0x11;
const ctxId = 1;
const INIT = 1;
const SEND = 4;

/** A command of words after its header, and data. */
function command(cmd: number, size: number, words: readonly number[], data = ''): Uint8Array {
  const bytes = new Uint8Array(size + data.length);
  bytes[0] = cmd;
  const view = new DataView(bytes.buffer);
  view.setUint16(2, bytes.length, true);
  for (const [index, word] of words.entries()) view.setUint32(8 + 4 * index, word, true);
  bytes.set(new TextEncoder().encode(data), size);
  return bytes;
}

describe('oriel gpu --channel', function () {
  this.timeout(20_000);
  let dir: TempDir;
  let program: Program;
  let guest: GpuGuest;
  let host: Server;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    dir = tempDir();
    const path = join(dir.path, 'wayland-0');
    host = createServer((socket) => sockets.push(socket)).listen(path);
    await once(host, 'listening');
    const socketPath = join(dir.path, 'gpu');
    const channel = [`--channel=wayland=${path}`, '--wayland-security-context=off'];
    program = new Program(MAIN, ['gpu', `--socket-path=${socketPath}`, ...channel]);
    await program.says('listening');
    guest = new GpuGuest(socketPath);
  });
  afterEach(async () => {
    guest[Symbol.dispose]();
    await program.stop('SIGTERM');
    for (const socket of sockets.splice(0)) socket.destroy();
    host.close();
    dir[Symbol.dispose]();
  });

  const status = (bytes: Uint8Array): number => guest.command(bytes).type;
  const submit = (bytes: Uint8Array, ringIdx = 0): number =>
    status(encodeSubmit3d(bytes, { ctxId, fence: { idLo: 1, ringIdx } }));
  const init = (channelType: number): number =>
    submit(command(INIT, CrossDomainInit.byteLength, [RING, RING, channelType]));
  const begin = () => {
    status(encodeCtxCreate({ contextInit: CAPSET, debugName: 'test' }, { ctxId }));
    const entries = [guest.pages(new Uint8Array(PAGE))];
    const fields = { resourceId: RING, blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, size: PAGE, entries };
    expect(status(encodeResourceCreateBlob(fields))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
    expect(status(encodeCtxAttachResource(RING, { ctxId }))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
  };

  it('leads a program of the guest to the socket, and its answers back', async () => {
    begin();
    const connected = once(host, 'connection');
    expect(init(WAYLAND)).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
    expect(submit(command(SEND, CrossDomainSendReceive.byteLength, [0, 5], 'hello'))).to.equal(
      VIRTIO_GPU_RESP_OK_NODATA,
    );
    const [socket] = (await connected) as [Socket];
    expect(String((await once(socket, 'data'))[0])).to.equal('hello');
    await new Promise<void>((sent) => socket.write('world', () => sent()));
    expect(submit(new Uint8Array(0), 1)).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
    const ring = guest.readPages(CrossDomainSendReceive.byteLength + 5);
    expect([...ring.subarray(0, 16)]).to.deep.equal([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]);
    expect(new TextDecoder().decode(ring.subarray(CrossDomainSendReceive.byteLength))).to.equal('world');
    const ended = once(socket, 'close');
    expect(status(encodeCtxDestroy({ ctxId }))).to.equal(VIRTIO_GPU_RESP_OK_NODATA);
    await ended;
  });

  it('leads to no other socket', () => {
    begin();
    expect(init(X11)).to.equal(VIRTIO_GPU_RESP_ERR_UNSPEC);
    expect(sockets).to.deep.equal([]);
  });
});
