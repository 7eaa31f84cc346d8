import { createHash } from 'node:crypto';
import { EAGAIN, EPERM, Fd, openSys } from '@oriel/sys';
import { expect } from 'chai';
import {
  CROSS_DOMAIN_ID_TYPE_READ_PIPE,
  CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB,
  CROSS_DOMAIN_ID_TYPE_WRITE_PIPE,
} from '../src/channel/protocol.ts';
import { bytesOf, type Desk, memoryFile, withDesk } from './support/desk.ts';

const sys = openSys();
const MIB = 1024 * 1024;
const PAYLOAD = 10 * MIB;
const SEAT = 3;
const KEYBOARD = 4;
const OFFER = 0xff00_0000;
const SOURCE = 6;

function payload(): Uint8Array {
  const bytes = new Uint8Array(PAYLOAD);
  let state = 1;
  for (let index = 0; index < PAYLOAD; index++) bytes[index] = state = (state * 1103515245 + 12345) & 0x7fff_ffff;
  return bytes;
}

const hash = (...parts: readonly Uint8Array[]) => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest('hex');
};

function pipe(): [Fd, Fd] {
  const ends = new Int32Array(2);
  sys.fd.pipe(ends);
  return [new Fd(sys.fd, ends[0]!), new Fd(sys.fd, ends[1]!)];
}

/** A client with a data device, an offer of the host and a source of its own. */
function openSelection({ client, host, settle, bind }: Desk): void {
  bind('wl_seat', 7, SEAT);
  bind('wl_data_device_manager', 3, 8);
  client.request(8, 'wl_data_device_manager', 'get_data_device', [9, SEAT]);
  client.request(8, 'wl_data_device_manager', 'create_data_source', [SOURCE]);
  settle();
  host.event(9, 'wl_data_device', 'data_offer', [OFFER]);
  settle();
  host.requests();
}

describe('descriptors', () => {
  it(
    'gives each client a keymap of its own, of a size that nobody changes',
    withDesk(({ client, host, settle, bind }) => {
      bind('wl_seat', 7, SEAT);
      client.request(SEAT, 'wl_seat', 'get_keyboard', [KEYBOARD]);
      settle();
      const keymap = new TextEncoder().encode('xkb_keymap { };\0');
      host.files.set(2, keymap);
      const identifier = { id: 2, type: CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, size: keymap.length };
      host.event(KEYBOARD, 'wl_keyboard', 'keymap', [1, keymap.length], [identifier]);
      settle();
      expect(client.events.at(-1)!.words).to.deep.equal([1, keymap.length]);
      const [file] = client.fds;
      expect(bytesOf(file!, 4096)).to.deep.equal(keymap);
      expect(sys.file.ftruncate(file!.fd, 0)).to.equal(-EPERM);
      expect(host.memories.size, 'the host memory is given back at once').to.equal(0);
      // A keyboard without a keymap sends an empty file.
      host.event(KEYBOARD, 'wl_keyboard', 'keymap', [0, 0], [{ ...identifier, size: 0 }]);
      settle();
      expect(bytesOf(client.fds[1]!, 1)).to.have.lengthOf(0);
    }),
  );

  it(
    'gives the host the keymap of a virtual keyboard',
    withDesk(({ client, host, settle, bind }) => {
      bind('wl_seat', 7, SEAT);
      bind('zwp_virtual_keyboard_manager_v1', 1, 8);
      client.request(8, 'zwp_virtual_keyboard_manager_v1', 'create_virtual_keyboard', [SEAT, 9]);
      using file = memoryFile(new Uint8Array(100).fill(7));
      let seen: Uint8Array | undefined;
      const send = host.send.bind(host);
      host.send = (data, identifiers, taken) => {
        const [first] = identifiers;
        if (first !== undefined) seen = host.memories.get(first.id)!.mapping.u8.slice(0, first.size);
        send(data, identifiers, taken);
      };
      client.request(9, 'zwp_virtual_keyboard_v1', 'keymap', [1, 100], [file.fd]);
      settle();
      expect(seen).to.deep.equal(new Uint8Array(100).fill(7));
      expect(host.memories.size).to.equal(0);
    }),
  );

  it(
    'brings 10 MiB of the host to a client that is slow to read them',
    withDesk((desk) => {
      const { client, host, settle } = desk;
      openSelection(desk);
      const [reading, writing] = pipe();
      using _reading = reading;
      client.request(OFFER, 'wl_data_offer', 'receive', ['text/plain'], [writing.fd]);
      writing.close();
      settle();
      expect(host.identifiers.at(-1)).to.deep.equal({ id: 0x8000_0001, type: CROSS_DOMAIN_ID_TYPE_READ_PIPE, size: 0 });
      const bytes = payload();
      const CHUNK = 4072;
      for (let at = 0; at < PAYLOAD; at += CHUNK) host.read(0x8000_0001, bytes.subarray(at, at + CHUNK), false);
      host.read(0x8000_0001, new Uint8Array(0), true);
      settle();
      expect(host.waiting, 'the host is not asked for more than the client may have waiting').to.be.greaterThan(2000);
      sys.fd.setNonBlocking(reading.fd, true);
      const got: Uint8Array[] = [];
      const buffer = new Uint8Array(30_000);
      for (;;) {
        const len = sys.fd.read(reading.fd, buffer, buffer.length);
        if (len === 0) break;
        if (len > 0) got.push(buffer.slice(0, len));
        else expect(len).to.equal(-EAGAIN);
        settle();
      }
      expect(hash(...got)).to.equal(hash(bytes));
    }),
  );

  it(
    'brings 10 MiB of a client to a host that is slow to take them',
    withDesk((desk) => {
      const { client, host, settle } = desk;
      openSelection(desk);
      host.event(
        SOURCE,
        'wl_data_source',
        'send',
        ['text/plain'],
        [{ id: 5, type: CROSS_DOMAIN_ID_TYPE_WRITE_PIPE, size: 0 }],
      );
      settle();
      const writing = client.fds.pop()!;
      sys.fd.setNonBlocking(writing.fd, true);
      const bytes = payload();
      host.slow = true;
      let at = 0;
      let most = 0;
      while (at < PAYLOAD) {
        const before = host.writes.length;
        for (;;) {
          const sent = sys.fd.write(writing.fd, bytes.subarray(at), PAYLOAD - at);
          if (sent <= 0) break;
          at += sent;
          settle();
        }
        settle();
        most = Math.max(most, host.writes.length - before);
        host.takeAll();
      }
      expect(most * 4072, 'a slow host is sent no more than it takes').to.be.lessThan(MIB);
      writing.close();
      while (host.writes.at(-1)?.hangUp !== true) {
        settle();
        host.takeAll();
      }
      expect(hash(...host.writes.map(({ data }) => data))).to.equal(hash(bytes));
      expect(new Set(host.writes.map((write) => write.pipe))).to.deep.equal(new Set([5]));
      expect(host.writes.filter(({ hangUp }) => hangUp)).to.have.lengthOf(1);
    }),
  );

  it(
    'passes on what a client wrote that then left',
    withDesk((desk) => {
      const { client, host, settle, closed } = desk;
      openSelection(desk);
      host.event(
        SOURCE,
        'wl_data_source',
        'send',
        ['text/plain'],
        [{ id: 5, type: CROSS_DOMAIN_ID_TYPE_WRITE_PIPE, size: 0 }],
      );
      settle();
      const writing = client.fds.pop()!;
      sys.fd.write(writing.fd, new Uint8Array([1, 2, 3]), 3);
      writing.close();
      client.close();
      while (!closed()) desk.loop.runOnce(1000);
      expect(host.writes.flatMap(({ data }) => [...data])).to.deep.equal([1, 2, 3]);
      expect(host.writes.at(-1)!.hangUp).to.equal(true);
      expect(host.disposed).to.equal(true);
    }),
  );

  it(
    'writes into a file in memory as well, and into a socket',
    withDesk((desk) => {
      const { client, host, settle, closed } = desk;
      openSelection(desk);
      using file = memoryFile(0);
      const ends = new Int32Array(2);
      sys.socket.socketpair(ends);
      client.request(OFFER, 'wl_data_offer', 'receive', ['a'], [file.fd]);
      client.request(OFFER, 'wl_data_offer', 'receive', ['b'], [ends[0]!]);
      sys.fd.close(ends[0]!);
      settle();
      expect(host.sent.at(-1)!.identifiers, 'the host makes one pipe for a SEND').to.have.lengthOf(1);
      host.read(0x8000_0001, Uint8Array.of(1, 2, 3), true);
      host.read(0x8000_0002, Uint8Array.of(4, 5), true);
      settle();
      const got = new Uint8Array(10);
      expect(sys.fd.read(ends[1]!, got, 10)).to.equal(2);
      expect(sys.fd.read(ends[1]!, got, 10), 'it is closed').to.equal(0);
      sys.fd.close(ends[1]!);
      expect([...bytesOf(file, 10)]).to.deep.equal([1, 2, 3]);
      expect(closed()).to.equal(false);
    }),
  );

  it(
    'forgets data that nobody reads any more',
    withDesk((desk) => {
      const { client, host, settle, closed } = desk;
      openSelection(desk);
      const [reading, writing] = pipe();
      client.request(OFFER, 'wl_data_offer', 'receive', ['text/plain'], [writing.fd]);
      writing.close();
      settle();
      reading.close();
      for (let count = 0; count < 1000; count++) host.read(0x8000_0001, new Uint8Array(4072), false);
      settle();
      expect(host.waiting).to.equal(0);
      expect(closed()).to.equal(false);
    }),
  );
});
