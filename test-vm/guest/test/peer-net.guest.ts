/** Our front-end and driver on two network back-ends: passt, and DPDK's, which has packed rings and IN_ORDER. */
import { join } from 'node:path';
import {
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';
import { expect } from 'chai';
import { guestSuite, type HostProcess } from '../index.ts';
import { PeerMachine } from '../src/peer-machine.ts';
import { PeerNetwork } from '../src/peer-net.ts';
import { peerTree, startPasst, startTestpmd } from '../src/peer-programs.ts';

const BROADCAST = 'ffffffffffff';
const OUR_MAC = '020000000001';
const OUR_IP = 'c0000202';
const ASK = 1;
const ANSWER = 2;

/** An ARP frame (RFC 826) for IPv4 on Ethernet. */
function arp(to: string, from: string, operation: number, ip: string, targetMac: string, targetIp: string): Buffer {
  const fixed = `08060001080006040${operation.toString(16).padStart(3, '0')}`;
  return Buffer.from(to + from + fixed + from + ip + targetMac + targetIp, 'hex');
}

describe('our front-end on network back-ends', () => {
  const suite = guestSuite('peer-net');
  let peer: HostProcess | undefined;

  before(async function () {
    this.timeout(600_000);
    const { packages } = await peerTree();
    process.stdout.write(`      peers: passt ${packages['passt']}, DPDK ${packages['librte-vhost25']}\n`);
  });
  afterEach(async () => {
    await peer?.stop();
    peer = undefined;
  });

  it('asks passt for 500 addresses by ARP, over split rings', async () => {
    const socketPath = join(suite.folder('passt'), 'net.sock');
    peer = await startPasst(suite.environment, socketPath);
    {
      using machine = new PeerMachine(socketPath);
      const network = new PeerNetwork(machine, 128);
      const asked = Array.from({ length: 500 }, (_, n) => `c63364${(n % 256).toString(16).padStart(2, '0')}`);
      const answers = network.exchange(
        asked.map((ip) => arp(BROADCAST, OUR_MAC, ASK, OUR_IP, '000000000000', ip)),
        16,
      );
      const theirMac = Buffer.from(answers[0]!).toString('hex', 6, 12);
      const got = answers.map((frame) => Buffer.from(frame).toString('hex', 0, 42));
      expect(got).to.deep.equal(asked.map((ip) => arp(OUR_MAC, theirMac, ANSWER, ip, OUR_MAC, OUR_IP).toString('hex')));
    }
    expect(await peer.waitExit()).to.deep.equal({ code: 0, signal: null });
  });

  const RINGS = [true, false].flatMap((packed) =>
    [true, false].flatMap((eventIdx) =>
      [true, false].map((indirect) => ({ packed, eventIdx, indirect, inOrder: false })),
    ),
  );
  const IN_ORDER = [true, false].map((packed) => ({ packed, eventIdx: true, indirect: true, inOrder: true }));
  for (const { packed, eventIdx, indirect, inOrder } of [...RINGS, ...IN_ORDER]) {
    const words = [
      packed ? 'packed' : 'split',
      eventIdx && 'EVENT_IDX',
      indirect && 'INDIRECT_DESC',
      inOrder && 'IN_ORDER',
    ];
    it(`gets 3000 frames back from DPDK, and again after a stop, rings: ${words.filter(Boolean).join(', ')}`, async () => {
      const socketPath = join(suite.folder('dpdk'), 'net.sock');
      peer = await startTestpmd(suite.environment, socketPath);
      const features = [
        ...(packed ? [VIRTIO_F_RING_PACKED] : []),
        ...(eventIdx ? [VIRTIO_RING_F_EVENT_IDX] : []),
        ...(indirect ? [VIRTIO_RING_F_INDIRECT_DESC] : []),
        ...(inOrder ? [VIRTIO_F_IN_ORDER] : []),
      ];
      using machine = new PeerMachine(socketPath, { features });
      expect(features.filter((bit) => !machine.mock.frontend.features.has(bit))).to.deep.equal([]);
      const network = new PeerNetwork(machine, 128);
      await peer.waitOutput(/packets\/burst/, 30_000);
      const frames = Array.from({ length: 3000 }, (_, n) => {
        const frame = Buffer.alloc(60 + ((n * 37) % 1400), n);
        frame.writeUInt32BE(n, 14);
        return frame;
      });
      const wrong = () => network.exchange(frames, 24).findIndex((frame, n) => !frames[n]!.equals(frame));
      expect(wrong()).to.equal(-1);
      network.restart();
      // Up, down and up again: only then does it forward.
      await peer.waitOutput(/(?:link state change[\s\S]*){3}/, 30_000);
      expect(wrong()).to.equal(-1);
    });
  }
});
