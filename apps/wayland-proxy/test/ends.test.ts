import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Desk, memoryFile, withDesk } from './support/desk.ts';

const sys = openSys();

describe('a session', () => {
  it(
    'passes messages byte for byte, however they are cut',
    withDesk(({ client, host, settle, bind }) => {
      bind('wl_compositor', 6, 3);
      const request = client.request(3, 'wl_compositor', 'create_surface', [4]);
      settle();
      host.requests();
      const damage = new Uint8Array(24);
      new DataView(damage.buffer).setUint32(0, 4, true);
      new DataView(damage.buffer).setUint32(4, (24 << 16) | 2, true);
      for (const byte of damage) {
        client.send(Uint8Array.of(byte));
        settle();
      }
      expect(host.requests().map(({ bytes }) => bytes)).to.deep.equal([damage]);
      expect(request).to.have.lengthOf(12);
      client.events.length = 0;
      const event = new Uint8Array([4, 0, 0, 0, 0, 0, 12, 0, 9, 0, 0, 0]);
      for (const byte of event) host.receive(Uint8Array.of(byte));
      settle();
      expect(client.events.map(({ bytes }) => bytes)).to.deep.equal([event]);
    }),
  );

  it(
    'splits a request that is longer than one SEND',
    withDesk(({ client, host, settle, bind }) => {
      bind('xdg_wm_base', 3, 3);
      bind('wl_compositor', 6, 4);
      client.request(4, 'wl_compositor', 'create_surface', [5]);
      client.request(3, 'xdg_wm_base', 'get_xdg_surface', [6, 5]);
      client.request(6, 'xdg_surface', 'get_toplevel', [7]);
      settle();
      host.requests();
      const title = 'x'.repeat(20_000);
      const bytes = client.request(7, 'xdg_toplevel', 'set_title', [title]);
      settle();
      expect(host.requests().map((request) => request.bytes)).to.deep.equal([bytes]);
      expect(Math.max(...host.sent.map(({ data }) => data.length))).to.equal(3744);
    }),
  );

  it(
    'waits for a client that does not read, without asking the host for more',
    withDesk(({ client, host, loop, settle, bind }) => {
      bind('wl_compositor', 6, 3);
      client.request(1, 'wl_display', 'sync', [4]);
      settle();
      const seen = client.events.length;
      for (let count = 0; count < 5000; count++) host.event(1, 'wl_display', 'error', [4, count, 'y'.repeat(400)]);
      while (loop.runOnce(0) > 0);
      expect(host.waiting).to.be.greaterThan(1000);
      while (host.waiting > 0) settle();
      settle();
      expect(client.events.slice(seen).map(({ words }) => words[1])).to.deep.equal(
        Array.from({ length: 5000 }, (_, n) => n),
      );
    }),
  );

  it(
    'waits for a host that does not take more',
    withDesk(({ client, host, settle, bind, loop }) => {
      bind('wl_compositor', 6, 3);
      client.request(3, 'wl_compositor', 'create_surface', [4]);
      settle();
      host.requests();
      host.slow = true;
      const commit = new Uint8Array(8 * 512);
      for (let at = 0; at < commit.length; at += 8) {
        new DataView(commit.buffer).setUint32(at, 4, true);
        new DataView(commit.buffer).setUint32(at + 4, (8 << 16) | 6, true);
      }
      let sent = 0;
      for (let tries = 0; tries < 1000; tries++) {
        sent += Math.max(0, client.send(commit));
        while (loop.runOnce(0) > 0);
      }
      const taken = () => host.sent.reduce((sum, { data }) => sum + data.length, 0);
      expect(taken()).to.be.lessThan(512 * 1024);
      expect(sent).to.be.greaterThan(taken());
      host.slow = false;
      host.takeAll();
      while (loop.runOnce(0) > 0);
      expect(host.requests().length * 8).to.equal(sent);
    }),
  );

  it(
    'ends with its client, and with the compositor after the last word',
    withDesk((desk) => {
      desk.host.event(1, 'wl_display', 'error', [1, 0, 'bye']);
      desk.host.end();
      desk.settle();
      desk.settle();
      expect(desk.client.events.map(({ objectId, opcode }) => [objectId, opcode])).to.deep.equal([[1, 0]]);
      expect(desk.client.ended).to.equal(true);
      expect(desk.closed()).to.equal(true);
    }),
  );

  const hostile: Record<string, (desk: Desk) => void> = {
    'an object that is not there': ({ client }) => client.request(99, 'wl_surface', 'commit', []),
    'a request that its interface lacks': ({ client }) => client.send(Uint8Array.of(1, 0, 0, 0, 9, 0, 8, 0)),
    'a message shorter than its header': ({ client }) => client.send(Uint8Array.of(1, 0, 0, 0, 0, 0, 4, 0)),
    'an odd size': ({ client }) => client.send(Uint8Array.of(1, 0, 0, 0, 0, 0, 13, 0, 2, 0, 0, 0, 0)),
    'an argument that is missing': ({ client }) => client.send(Uint8Array.of(1, 0, 0, 0, 0, 0, 8, 0)),
    'an id of the server': ({ client }) => client.request(1, 'wl_display', 'sync', [0xff00_0001]),
    'an id that is in use': ({ client }) => client.request(1, 'wl_display', 'sync', [1]),
    'a pool without its file': ({ client, bind }) => {
      bind('wl_shm', 1, 3);
      client.request(3, 'wl_shm', 'create_pool', [4, 4096]);
    },
    'a flood of descriptors': ({ client, settle }) => {
      using file = memoryFile(1);
      const fds = new Array<number>(28).fill(file.fd);
      for (let count = 0; count < 5; count++) client.send(new Uint8Array(1), fds);
      settle();
    },
    'a pipe to read from, which cannot pass': ({ client, bind }) => {
      bind('wl_seat', 7, 3);
      bind('zwp_virtual_keyboard_manager_v1', 1, 4);
      client.request(4, 'zwp_virtual_keyboard_manager_v1', 'create_virtual_keyboard', [3, 5]);
      const ends = new Int32Array(2);
      sys.fd.pipe(ends);
      client.request(5, 'zwp_virtual_keyboard_v1', 'keymap', [1, 10], [ends[0]!]);
      for (const end of ends) sys.fd.close(end);
    },
  };
  for (const [what, attack] of Object.entries(hostile)) {
    it(
      `ends a client for ${what}, and leaves nothing`,
      withDesk((desk) => {
        attack(desk);
        desk.settle();
        expect(desk.closed()).to.equal(true);
        expect(desk.host.disposed).to.equal(true);
        expect(desk.client.events.at(-1)!.objectId).to.equal(1);
      }),
    );
  }

  it('survives whatever a client sends', () => {
    const word = fc.oneof(
      fc.constantFrom(1, 2, 3, 0, 0x000c_0000, 0x0008_0000, 0x000c_0001, 0x0010_0001),
      fc.integer(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.integer({ min: 0, max: 3 }), (words, fds) =>
        withDesk(({ client, settle, closed }) => {
          using file = memoryFile(10);
          client.send(new Uint8Array(Int32Array.from(words).buffer), new Array<number>(fds).fill(file.fd));
          settle();
          client.close();
          if (!closed()) settleEnd(settle, closed);
        })(),
      ),
      { numRuns: 300 },
    );
  });

  it('survives whatever the host sends', () => {
    const word = fc.oneof(fc.constantFrom(1, 2, 0x000c_0000, 0x000c_0001, 0x0010_0000, 0x001c_0000), fc.integer());
    const identifier = fc.record({ id: fc.nat(), type: fc.nat(8), size: fc.nat() });
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.array(identifier, { maxLength: 3 }), (words, identifiers) =>
        withDesk(({ client, host, settle }) => {
          client.request(1, 'wl_display', 'get_registry', [2]);
          settle();
          host.receive(new Uint8Array(Int32Array.from(words).buffer), identifiers);
          settle();
        })(),
      ),
      { numRuns: 300 },
    );
  });
});

function settleEnd(settle: () => void, closed: () => boolean): void {
  for (let turns = 0; !closed() && turns < 100; turns++) settle();
  expect(closed()).to.equal(true);
}
