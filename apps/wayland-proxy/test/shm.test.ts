import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import { CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB } from '../src/channel/protocol.ts';
import { bytesOf, type Desk, memoryFile, withDesk } from './support/desk.ts';

const sys = openSys();
const SHM = 3;
const COMPOSITOR = 4;
const POOL = 5;
const SURFACE = 6;
const STRIDE = 400;
const HEIGHT = 20;
const LEN = STRIDE * HEIGHT;

/** A client with a surface and a pool of room for two buffers. */
function open({ bind, client, host, settle }: Desk) {
  bind('wl_shm', 1, SHM);
  bind('wl_compositor', 4, COMPOSITOR);
  const file = memoryFile(2 * LEN);
  client.request(SHM, 'wl_shm', 'create_pool', [POOL, 2 * LEN], [file.fd]);
  client.request(COMPOSITOR, 'wl_compositor', 'create_surface', [SURFACE]);
  settle();
  const draw = (row: number, rows: number, value: number, offset = 0) =>
    sys.fd.pwrite(file.fd, new Uint8Array(rows * STRIDE).fill(value), rows * STRIDE, offset + row * STRIDE);
  const show = (buffer: number, y: number, rows: number) => {
    client.request(SURFACE, 'wl_surface', 'attach', [buffer, 0, 0]);
    client.request(SURFACE, 'wl_surface', 'damage_buffer', [0, y, 100, rows]);
    client.request(SURFACE, 'wl_surface', 'commit', []);
    settle();
  };
  const makeBuffer = (id: number, offset: number) => {
    client.request(POOL, 'wl_shm_pool', 'create_buffer', [id, offset, 100, HEIGHT, STRIDE, 1]);
    settle();
    return host.memories.get(host.identifiers.at(-1)!.id)!.mapping.u8;
  };
  return { file, draw, show, makeBuffer };
}

/** The value of each row. */
function rows(memory: Uint8Array): number[] {
  return Array.from({ length: HEIGHT }, (_, row) => memory[row * STRIDE]!);
}

const filled = (value: number) => new Array<number>(HEIGHT).fill(value);

describe('wl_shm', () => {
  it(
    'makes a pool of host memory for each buffer, and tells the client nothing of it',
    withDesk((desk) => {
      const { client, host, settle } = desk;
      using file = open(desk).file;
      expect(host.requests().map(({ objectId, opcode, words }) => [objectId, opcode, words])).to.deep.equal([
        [SHM, 0, [POOL, 4096]],
        [COMPOSITOR, 0, [SURFACE]],
      ]);
      client.request(POOL, 'wl_shm_pool', 'create_buffer', [7, LEN, 100, HEIGHT, STRIDE, 1]);
      settle();
      expect(host.requests().map(({ objectId, opcode, words }) => [objectId, opcode, words])).to.deep.equal([
        [POOL, 1, []],
        [SHM, 0, [POOL, LEN]],
        [POOL, 0, [7, 0, 100, HEIGHT, STRIDE, 1]],
      ]);
      const [placeholder, buffer] = host.identifiers;
      expect([placeholder!.type, buffer!.type]).to.deep.equal([
        CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB,
        CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB,
      ]);
      // The host's own pool goes, and then the client's: only the second is news for the client.
      client.events.length = 0;
      client.request(POOL, 'wl_shm_pool', 'destroy', []);
      host.event(1, 'wl_display', 'delete_id', [POOL]);
      settle();
      expect(client.events).to.deep.equal([]);
      host.event(1, 'wl_display', 'delete_id', [POOL]);
      settle();
      expect(client.events.map(({ words }) => words)).to.deep.equal([[POOL]]);
      expect(bytesOf(file, 1)).to.have.lengthOf(1);
    }),
  );

  it(
    'copies what changed before the commit, and all that a buffer missed meanwhile',
    withDesk((desk) => {
      const { file, draw, show, makeBuffer } = open(desk);
      using _file = file;
      const first = makeBuffer(7, 0);
      const second = makeBuffer(8, LEN);
      draw(0, HEIGHT, 1);
      show(7, 0, 1);
      expect(rows(first), 'a buffer is copied whole the first time').to.deep.equal(filled(1));
      draw(0, HEIGHT, 1, LEN);
      draw(3, 2, 2, LEN);
      show(8, 3, 2);
      expect(rows(second)).to.deep.equal([1, 1, 1, 2, 2, ...filled(1).slice(5)]);
      // The first buffer again: it shows the change of the second one, too, which its own damage does not name.
      draw(3, 2, 2);
      draw(10, 1, 3);
      show(7, 10, 1);
      expect(rows(first).slice(0, 12)).to.deep.equal([1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 3, 1]);
      // What is not damaged is not looked at.
      draw(0, 1, 9);
      show(7, 5, 1);
      expect(rows(first)[0]).to.equal(1);
      // Damage of a surface counts in its own scale.
      const { client, settle } = desk;
      client.request(SURFACE, 'wl_surface', 'attach', [7, 0, 0]);
      client.request(SURFACE, 'wl_surface', 'damage', [0, 0, 100, 1]);
      client.request(SURFACE, 'wl_surface', 'commit', []);
      settle();
      expect(rows(first)[0]).to.equal(9);
    }),
  );

  it(
    'copies all where a surface is scaled, turned, or another one showed the buffer',
    withDesk((desk) => {
      const { client, settle } = desk;
      const { file, draw, show, makeBuffer } = open(desk);
      using _file = file;
      const memory = makeBuffer(7, 0);
      show(7, 0, HEIGHT);
      for (const [index, [name, value]] of [
        ['set_buffer_scale', 2] as const,
        ['set_buffer_transform', 1] as const,
      ].entries()) {
        client.request(SURFACE, 'wl_surface', name, [value]);
        draw(0, HEIGHT, index + 1);
        show(7, 5, 1);
        expect(rows(memory), name).to.deep.equal(filled(index + 1));
      }
      client.request(COMPOSITOR, 'wl_compositor', 'create_surface', [9]);
      draw(0, HEIGHT, 8);
      client.request(9, 'wl_surface', 'attach', [7, 0, 0]);
      client.request(9, 'wl_surface', 'commit', []);
      settle();
      expect(rows(memory)).to.deep.equal(filled(8));
      draw(0, HEIGHT, 4);
      show(7, 5, 1);
      expect(rows(memory)).to.deep.equal(filled(4));
    }),
  );

  it(
    'takes a pool that grew, and gives memory back with the buffer',
    withDesk((desk) => {
      const { client, host, settle } = desk;
      const { file, draw, show, makeBuffer } = open(desk);
      using _file = file;
      const before = host.memories.size;
      sys.file.ftruncate(file.fd, 3 * LEN);
      client.request(POOL, 'wl_shm_pool', 'resize', [3 * LEN]);
      settle();
      host.requests();
      const memory = makeBuffer(7, 2 * LEN);
      draw(0, HEIGHT, 5, 2 * LEN);
      show(7, 0, HEIGHT);
      expect(rows(memory)).to.deep.equal(filled(5));
      expect(host.requests().map(({ objectId }) => objectId)).to.deep.equal([
        POOL,
        SHM,
        POOL,
        SURFACE,
        SURFACE,
        SURFACE,
      ]);
      expect(host.memories.size).to.equal(before + 1);
      client.request(7, 'wl_buffer', 'destroy', []);
      settle();
      expect(host.memories.size).to.equal(before);
      // A surface that still has it attached commits nothing of it.
      show(7, 0, HEIGHT);
      expect(desk.closed()).to.equal(false);
    }),
  );

  it(
    'keeps a released wl_shm on the host while one of its pools is there',
    withDesk((desk) => {
      const { client, host, settle, bind } = desk;
      bind('wl_shm', 2, SHM);
      using file = memoryFile(LEN);
      client.request(SHM, 'wl_shm', 'create_pool', [POOL, LEN], [file.fd]);
      client.request(SHM, 'wl_shm', 'release', []);
      client.request(POOL, 'wl_shm_pool', 'create_buffer', [7, 0, 100, HEIGHT, STRIDE, 0]);
      client.request(POOL, 'wl_shm_pool', 'destroy', []);
      settle();
      expect(host.requests().map(({ objectId, opcode }) => [objectId, opcode])).to.deep.equal([
        [SHM, 0],
        [POOL, 1],
        [SHM, 0],
        [POOL, 0],
        [POOL, 1],
        [SHM, 1],
      ]);
    }),
  );

  it(
    'brings what the compositor wrote into a buffer back to the client',
    withDesk((desk) => {
      const { client, host, settle, bind } = desk;
      const { file, makeBuffer } = open(desk);
      using _file = file;
      bind('zwlr_screencopy_manager_v1', 1, 20);
      bind('wl_output', 1, 21);
      const memory = makeBuffer(7, LEN);
      client.request(20, 'zwlr_screencopy_manager_v1', 'capture_output', [22, 0, 21]);
      client.request(22, 'zwlr_screencopy_frame_v1', 'copy', [7]);
      settle();
      memory.fill(0x5a);
      host.event(22, 'zwlr_screencopy_frame_v1', 'ready', [0, 0, 0]);
      settle();
      expect(bytesOf(file, LEN, LEN)).to.deep.equal(new Uint8Array(LEN).fill(0x5a));
      expect(bytesOf(file, LEN)).to.deep.equal(new Uint8Array(LEN));
    }),
  );

  for (const [what, make] of Object.entries<(desk: Desk) => { object: number; code: number }>({
    'a file that is shorter than its pool': (desk) => {
      const { file, show, makeBuffer } = open(desk);
      makeBuffer(7, LEN);
      sys.file.ftruncate(file.fd, LEN + 5);
      show(7, 0, HEIGHT);
      file.close();
      return { object: 7, code: 2 };
    },
    'a buffer beyond its pool': (desk) => {
      open(desk).file.close();
      desk.client.request(POOL, 'wl_shm_pool', 'create_buffer', [7, LEN + 4, 100, HEIGHT, STRIDE, 1]);
      return { object: POOL, code: 1 };
    },
    'a pool that shrinks': (desk) => {
      open(desk).file.close();
      desk.client.request(POOL, 'wl_shm_pool', 'resize', [LEN]);
      return { object: POOL, code: 2 };
    },
    'a pool of no bytes': (desk) => {
      open(desk).file.close();
      using file = memoryFile(1);
      desk.client.request(SHM, 'wl_shm', 'create_pool', [9, 0], [file.fd]);
      return { object: SHM, code: 1 };
    },
    'a pool in a pipe': (desk) => {
      open(desk).file.close();
      const ends = new Int32Array(2);
      sys.fd.pipe(ends);
      desk.client.request(SHM, 'wl_shm', 'create_pool', [9, 4096], [ends[0]!]);
      for (const end of ends) sys.fd.close(end);
      return { object: SHM, code: 2 };
    },
    'more memory than the host has': (desk) => {
      open(desk).file.close();
      desk.host.room = LEN - 1;
      desk.client.request(POOL, 'wl_shm_pool', 'create_buffer', [7, 0, 100, HEIGHT, STRIDE, 1]);
      return { object: 1, code: 2 };
    },
  })) {
    it(
      `ends a client for ${what}, and tells it`,
      withDesk((desk) => {
        const { object, code } = make(desk);
        desk.settle();
        expect(desk.closed()).to.equal(true);
        expect(desk.host.disposed).to.equal(true);
        expect(desk.client.events.at(-1)!.words.slice(0, 2)).to.deep.equal([object, code]);
        expect(desk.client.ended).to.equal(true);
      }),
    );
  }
});
