import { BlockingLoop, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DrmChannel } from '../src/channel/drm-channel.ts';
import type { ChannelHandler, Identifier } from '../src/channel/host-channel.ts';
import { memorySize } from '../src/channel/memory-size.ts';
import { checkDevice } from '../src/check-device.ts';
import { FakeDrm } from './support/fake-drm.ts';

const RING_IDX = 4;
const FENCE_FD_OUT = 2;
const RING_HANDLE = 2;

interface Desk {
  readonly drm: FakeDrm;
  readonly channel: DrmChannel;
  readonly loop: BlockingLoop;
  readonly heard: unknown[];
}

function withChannel(test: (desk: Desk) => void): () => void {
  return () => {
    using _leaks = leakCheck();
    using loop = new BlockingLoop(openSys());
    using drm = new FakeDrm();
    const heard: unknown[] = [];
    const handler: ChannelHandler = {
      onReceive: (data, identifiers) => heard.push(['receive', [...data], identifiers]),
      onRead: (pipe, data, hangUp) => heard.push(['read', pipe, [...data], hangUp]),
      onEnd: (reason) => heard.push(['end', reason]),
    };
    using channel = new DrmChannel({ sys: drm.sys, loop, renderNode: drm.path }, handler);
    test({ drm, channel, loop, heard });
  };
}

/** Little-endian words. */
function words(...values: number[]): number[] {
  return [...new Uint8Array(Uint32Array.from(values).buffer)];
}

/** A SEND or RECEIVE of 28 identifiers: id, type, size of each. */
function sendBytes(head: number, identifiers: readonly Identifier[], data: readonly number[]): number[] {
  const column = (pick: (one: Identifier) => number) => {
    const all = identifiers.map(pick);
    return words(...all, ...new Array<number>(28 - all.length).fill(0));
  };
  const fixed = words(head, 0, identifiers.length, data.length);
  return [...fixed, ...column(({ id }) => id), ...column(({ type }) => type), ...column(({ size }) => size), ...data];
}

describe('DrmChannel', () => {
  it(
    'makes a context of two rings and connects it',
    withChannel(({ drm, channel }) => {
      expect(drm.params).to.deep.equal([
        [1, 5],
        [2, 2],
        [3, 1 << 1],
      ]);
      expect([...drm.blobs.values()].map(({ mem, flags, size, blobId }) => [mem, flags, size, blobId])).to.deep.equal([
        [1, 1, 4096, 0],
        [1, 1, 65536, 0],
      ]);
      channel.poll();
      channel.poll();
      expect(drm.commands.map(({ bytes, flags, ring }) => [[...bytes], flags, ring])).to.deep.equal([
        [words(1 | (20 << 16), 0, 101, 102, 1), RING_IDX, 0],
        [words(3 | (16 << 16), 0, 0, 0), RING_IDX, 1],
      ]);
    }),
  );

  it(
    'sends bytes with descriptors, and data of pipes',
    withChannel(({ drm, channel }) => {
      const identifiers = [
        { id: 103, type: 1, size: 4096 },
        { id: channel.nextReadPipe(), type: 3, size: 0 },
      ];
      expect(identifiers[1]!.id).to.equal(0x8000_0001);
      expect(channel.nextReadPipe()).to.equal(0x8000_0002);
      channel.send(Uint8Array.of(1, 2, 3, 4, 5), identifiers);
      channel.write(7, Uint8Array.of(9, 8), false);
      channel.write(7, new Uint8Array(0), true);
      const [, send, write, hangUp] = drm.commands;
      expect([...send!.bytes]).to.deep.equal(sendBytes(4 | (357 << 16), identifiers, [1, 2, 3, 4, 5]));
      expect([...write!.bytes]).to.deep.equal([...words(7 | (26 << 16), 0, 7, 0, 2, 0), 9, 8]);
      expect([...hangUp!.bytes]).to.deep.equal(words(7 | (24 << 16), 0, 7, 1, 0, 0));
    }),
  );

  it(
    'says when the host has taken what was sent',
    withChannel(({ drm, channel, loop, heard }) => {
      channel.send(Uint8Array.of(1), [], () => heard.push('taken'));
      expect(drm.commands.at(-1)!.flags).to.equal(RING_IDX | FENCE_FD_OUT);
      loop.runOnce(0);
      expect(heard).to.deep.equal([]);
      drm.reachFence();
      loop.runOnce(0);
      expect(heard).to.deep.equal(['taken']);
    }),
  );

  it(
    'gives on one message for each poll',
    withChannel(({ drm, channel, loop, heard }) => {
      const identifiers = [{ id: 2, type: 1, size: 30 }];
      channel.poll();
      drm.message(RING_HANDLE, Uint8Array.from(sendBytes(5, identifiers, [1, 2, 3])));
      loop.runOnce(0);
      channel.poll();
      drm.message(RING_HANDLE, Uint8Array.from([...words(6, 0, 0x8000_0001, 1, 2, 0), 4, 5]));
      loop.runOnce(0);
      expect(heard).to.deep.equal([
        ['receive', [1, 2, 3], identifiers],
        ['read', 0x8000_0001, [4, 5], true],
      ]);
    }),
  );

  for (const [what, message] of Object.entries({
    'an empty message': sendBytes(5, [], []),
    'an empty ring': words(0, 0),
    'a command that it does not know': words(9, 0, 0, 0),
    'more bytes than the ring has': words(5, 0, 0, 65536 - 351),
    'more descriptors than a message has': words(5, 0, 29, 8),
    'more data of a pipe than the ring has': words(6, 0, 1, 0, 65536 - 23, 0),
  })) {
    it(
      `ends the connection for ${what}`,
      withChannel(({ drm, channel, loop, heard }) => {
        channel.poll();
        drm.message(RING_HANDLE, Uint8Array.from(message));
        loop.runOnce(0);
        expect(heard.map((one) => (one as unknown[])[0])).to.deep.equal(['end']);
      }),
    );
  }

  it(
    'gets memory of the host by a picture of one row, and asks once for each size',
    withChannel(({ drm, channel }) => {
      const first = channel.allocate(100_000);
      const second = channel.allocate(100_001);
      const asked = drm.commands.slice(1);
      expect(asked.map(({ bytes, ring, handles }) => [[...bytes], ring, handles])).to.deep.equal([
        [words(2 | (24 << 16), 0, memorySize(100_000, 4096), 1, 0x2020_3852, 0x11), 0, 1],
      ]);
      const made = [...drm.blobs.values()].slice(2);
      expect(made.map(({ mem, flags, blobId }) => [mem, flags, blobId])).to.deep.equal([
        [2, 3, 2],
        [2, 3, 2],
      ]);
      expect([first.resourceId, second.resourceId]).to.deep.equal([103, 104]);
      expect(first.len).to.equal(memorySize(100_000, 4096));
      openSys().mem.copyChecked(first.addr, first.addr + 4096, 10);
      first[Symbol.dispose]();
      expect(drm.blobs.size).to.equal(3);
    }),
  );

  it(
    'opens a file that came by its number, in whole pages',
    withChannel(({ drm, channel }) => {
      using file = channel.openFile(9, 5000);
      const { mem, blobId, size } = [...drm.blobs.values()].at(-1)!;
      expect([mem, blobId, size, file.len]).to.deep.equal([2, 9, 8192, 8192]);
    }),
  );

  it(
    'tries again while the window is full, since the host may be unmapping',
    withChannel(({ drm, channel }) => {
      drm.full = 3;
      channel.allocate(4096)[Symbol.dispose]();
      expect(drm.full).to.equal(0);
      drm.full = 1000;
      expect(() => channel.allocate(4096))
        .to.throw()
        .with.property('code', 'ERR_PROXY_MEMORY');
      drm.full = 0;
      drm.imageSize = () => 0;
      expect(() => channel.allocate(1 << 20))
        .to.throw()
        .with.property('code', 'ERR_PROXY_MEMORY');
    }),
  );

  it('takes few sizes, none much larger than asked for', () => {
    const sizes = new Set<number>();
    for (let len = 1; len < 2 ** 28; len = Math.ceil(len * 1.01)) {
      const size = memorySize(len, 4096);
      expect(size % 4096).to.equal(0);
      expect(size).to.be.within(len, Math.max(4096, len) * (1 + 1 / 16) + 4096);
      sizes.add(size);
    }
    expect(sizes.size).to.be.lessThan(450);
  });

  it('finds out at the start whether there is a way to a compositor', () => {
    using drm = new FakeDrm();
    checkDevice(drm.sys, drm.path);
    drm.capset = [1, 1 << 17, 0, 0];
    expect(() => checkDevice(drm.sys, drm.path))
      .to.throw(/--channel/)
      .with.property('code', 'ERR_PROXY_DEVICE');
    expect(() => checkDevice(drm.sys, '/nowhere'))
      .to.throw(/ENOENT/)
      .with.property('code', 'ERR_PROXY_DEVICE');
  });
});
