/** rust-vmm's crates as Debian packages them: their front-end on our back-ends, and our front-end on a device made with them. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VHOST_USER_PROTOCOL_F_RESET_DEVICE } from '@oriel/vhost-user';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { expect } from 'chai';
import { guestSuite, HostProcess } from '../index.ts';
import { startOrielFs } from '../src/oriel.ts';
import { PeerMachine, type PeerRequest } from '../src/peer-machine.ts';
import { type RustPeers, rustPeers } from '../src/peer-rust.ts';
import type { ServedPeer } from '../src/peer-serve.ts';

const SERVE = fileURLToPath(new URL('../src/peer-serve.ts', import.meta.url));
const SECTORS = 2048;

/** `MESSAGE: what became of it`, in order. */
function told(text: string): string[] {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  return lines.filter(({ length }) => length === 3).map(([message, outcome]) => `${message}: ${outcome}`);
}

/** What follows a word at the beginning of a line. */
function said(text: string, word: string): string {
  return new RegExp(`^${word}\t(.*)$`, 'm').exec(text)?.[1] ?? '';
}

describe('rust-vmm', () => {
  const suite = guestSuite('peer-rust');
  let peers: RustPeers;

  before(async function () {
    this.timeout(900_000);
    peers = await rustPeers(suite.environment);
    const versions = Object.entries(peers.versions).map(([name, version]) => `${name} ${version}`);
    process.stdout.write(`      peers: ${versions.join(', ')}\n`);
  });

  /** Messages that the front-end sends wherever they are on offer; `refused` ones are wrong on purpose. */
  const NEGOTIATION = [
    'SET_OWNER: ok',
    'GET_FEATURES: ok',
    'GET_PROTOCOL_FEATURES: ok',
    'SET_PROTOCOL_FEATURES: ok',
    'GET_FEATURES, acknowledged: ok',
    'SET_VRING_NUM of a ring that is not there: refused',
    'GET_QUEUE_NUM: ok',
    'SET_BACKEND_REQ_FD: ok',
    // The profile for QEMU masks what was not offered, and says so in its log.
    'SET_FEATURES that were not offered: ok',
    'SET_FEATURES: ok',
  ];
  const CONFIG = ['GET_CONFIG: ok', 'SET_CONFIG past the end: refused'];
  const MEMORY = [
    'SET_VRING_ADDR before there is memory: refused',
    'SET_MEM_TABLE: ok',
    'GET_MAX_MEM_SLOTS: ok',
    'ADD_MEM_REG over another: refused',
    'REM_MEM_REG: ok',
    'REM_MEM_REG of none: refused',
    'ADD_MEM_REG: ok',
  ];
  const INFLIGHT = ['GET_INFLIGHT_FD: ok', 'SET_INFLIGHT_FD: ok'];
  const LOG = ['SET_LOG_BASE: ok', 'SET_LOG_FD: ok'];
  const RINGS = [
    'SET_VRING_NUM of 0: refused',
    'SET_VRING_NUM: ok',
    'SET_VRING_BASE: ok',
    'SET_VRING_ADDR of no memory: refused',
    'SET_VRING_ADDR: ok',
    'SET_VRING_CALL: ok',
    'SET_VRING_ERR: ok',
    'SET_VRING_KICK: ok',
    'SET_VRING_ENABLE: ok',
    'SET_VRING_CALL while it runs: ok',
    'GET_VRING_BASE: ok',
    'SET_VRING_ENABLE 0: ok',
    'RESET_DEVICE: ok',
    'SET_FEATURES, with logging: ok',
    'RESET_OWNER: ok',
    'GET_FEATURES, at last: ok',
  ];

  /** Walks the message table, with one request for the last ring. @returns what the program printed */
  async function walk(
    socketPath: string,
    configBytes: number,
    readable: string[],
    writable: number[],
  ): Promise<string> {
    const words = [peers.frontend, socketPath, configBytes, ...readable, ':', ...writable].map(String);
    const program = HostProcess.start(words, { name: 'frontend' });
    const exit = await program.waitExit();
    expect(exit, program.stdout + program.stderr).to.deep.equal({ code: 0, signal: null });
    return program.stdout;
  }

  /** The whole table, less what is not on offer by the back-end's own word. */
  function wholeTable(text: string, config: readonly string[]): string[] {
    const offered = /^GET_PROTOCOL_FEATURES\tok\t(.*)$/m.exec(text)?.[1] ?? '';
    const inflight = offered.includes('INFLIGHT_SHMFD') ? INFLIGHT : [];
    const log = offered.includes('LOG_SHMFD') ? LOG : [];
    return [...NEGOTIATION, ...config, ...MEMORY, ...inflight, ...log, ...RINGS];
  }

  describe('its front-end walks the message table of our back-ends', () => {
    let dir: string;
    let backend: HostProcess | undefined;

    beforeEach(() => {
      dir = suite.folder('walk');
    });
    afterEach(async () => {
      await backend?.stop();
      backend = undefined;
    });

    async function serve(peer: ServedPeer): Promise<void> {
      const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
      backend = HostProcess.start([process.execPath, ...flags, SERVE, JSON.stringify(peer)], { name: 'peer-serve' });
      await backend.waitOutput(/all are served/);
    }

    it('rng: has no configuration, and answers with random bytes', async () => {
      const socketPath = join(dir, 'rng.sock');
      await serve({ kind: 'rng', socketPath, packed: false });
      const text = await walk(socketPath, 0, [], [32]);
      expect(told(text)).to.deep.equal(wholeTable(text, []));
      expect(said(text, 'answer'))
        .to.match(/^[0-9a-f]{64}$/)
        .and.not.match(/^0*$/);
    });

    it('blk: has the configuration of the disk, and reads a sector by its last ring', async () => {
      const socketPath = join(dir, 'blk.sock');
      const imagePath = join(dir, 'disk.img');
      writeFileSync(imagePath, Buffer.alloc(512, 0x5a));
      truncateSync(imagePath, SECTORS * 512);
      await serve({ kind: 'blk', socketPath, imagePath, queues: 3, id: 'walked', packed: false });
      const text = await walk(socketPath, 60, ['00'.repeat(16)], [512, 1]);
      expect(told(text))
        .to.deep.equal(wholeTable(text, CONFIG))
        .and.include.members([...LOG, ...INFLIGHT]);
      expect(Buffer.from(said(text, 'config'), 'hex').readBigUInt64LE(0)).to.equal(BigInt(SECTORS));
      expect(said(text, 'answer')).to.equal(`${'5a'.repeat(512)}00`);
    });

    it('oriel fs: has its tag, and answers a FUSE_INIT', async () => {
      const socketPath = join(dir, 'fs.sock');
      const sharedDir = join(dir, 'share');
      mkdirSync(sharedDir);
      backend = await startOrielFs({ socketPath, sharedDir, tag: 'walked' });
      // fuse_in_header and fuse_init_in: INIT of unique 7, FUSE 7.45 with flags that need nothing more.
      const init = Buffer.alloc(40 + 64);
      for (const [at, word] of [104, 26, 7].entries()) init.writeUInt32LE(word, 4 * at);
      for (const [at, word] of [7, 45, 1 << 20].entries()) init.writeUInt32LE(word, 40 + 4 * at);
      const text = await walk(socketPath, 40, [init.toString('hex')], [16, 64]);
      expect(told(text)).to.deep.equal(wholeTable(text, CONFIG));
      expect(Buffer.from(said(text, 'config'), 'hex').toString('latin1', 0, 7)).to.equal('walked\0');
      const answer = Buffer.from(said(text, 'answer'), 'hex');
      expect([0, 4, 8, 16].map((at) => answer.readInt32LE(at))).to.deep.equal([80, 0, 7, 7]);
    });
  });

  describe('our front-end drives a device made with its back-end crate', () => {
    let socketPath: string;
    let device: HostProcess;

    beforeEach(async () => {
      socketPath = join(suite.folder('echo'), 'echo.sock');
      device = HostProcess.start([peers.backend, socketPath], { name: 'backend' });
      await device.waitOutput(/listening/);
    });
    afterEach(async () => {
      await device?.stop();
    });

    /** Bytes of various lengths, in one to three buffers, and room for the answer that is cut otherwise. */
    function* echoes(count: number): Generator<PeerRequest> {
      for (let n = 0; n < count; n++) {
        const bytes = Uint8Array.from({ length: 1 + ((n * 271) % 3000) }, (_, at) => (at * 7 + n) & 0xff);
        const cuts = n % 3;
        const parts = Array.from({ length: cuts + 1 }, (_, part) =>
          Math.ceil((bytes.length * (part + 1)) / (cuts + 1)),
        );
        yield {
          readable: parts
            .map((end, part) => bytes.subarray(parts[part - 1] ?? 0, end))
            .filter(({ length }) => length > 0),
          writable: [Math.ceil(bytes.length / 2), 4000],
          check: (reply) => {
            expect(reply.written).to.equal(bytes.length);
            expect(bytes.findIndex((byte, at) => reply.bytes[at] !== (~byte & 0xff))).to.equal(-1);
          },
        };
      }
    }

    for (const eventIdx of [true, false]) {
      for (const indirect of [true, false]) {
        const words = `${eventIdx ? 'with' : 'without'} EVENT_IDX, ${indirect ? 'with' : 'without'} INDIRECT_DESC`;
        it(`4000 chains over two split rings come back inverted, ${words}`, async () => {
          {
            const features = [
              ...(eventIdx ? [VIRTIO_RING_F_EVENT_IDX] : []),
              ...(indirect ? [VIRTIO_RING_F_INDIRECT_DESC] : []),
            ];
            using machine = new PeerMachine(socketPath, { features });
            const { frontend } = machine.mock;
            expect(features.filter((bit) => !frontend.features.has(bit))).to.deep.equal([]);
            expect(frontend.queueCount).to.equal(2);
            const drivers = [machine.start(0, 64), machine.start(1, 64)];
            machine.load(drivers, 8, echoes(4000));
            expect(machine.mock.stopRing(0) + machine.mock.stopRing(1)).to.equal(4000);
          }
          expect(await device.waitExit()).to.deep.equal({ code: 0, signal: null });
        });
      }
    }

    it('reads and writes its configuration, stops, goes on, changes memory and resets', () => {
      using machine = new PeerMachine(socketPath, { features: [VIRTIO_RING_F_EVENT_IDX] });
      const { frontend } = machine.mock;
      const config = () => Buffer.from(new Uint8Array(machine.config(16).buffer).slice(-16)).toString();
      expect(config()).to.equal('sixteen bytes...');
      frontend.wait((done) => frontend.setConfig(8, Buffer.from('written!'), done));
      expect(config()).to.equal('sixteen written!');
      expect(() => machine.config(4, 100))
        .to.throw()
        .with.property('code', 'ERR_VU_REFUSED');

      const driver = machine.start(0);
      machine.load([driver], 4, echoes(50));
      const base = machine.mock.stopRing(0);
      expect(base).to.equal(50);
      machine.mock.withdrawRam();
      machine.mock.shareRam();
      machine.resume(0, driver, base);
      machine.load([driver], 4, echoes(50));
      expect(frontend.protocolFeatures.has(VHOST_USER_PROTOCOL_F_RESET_DEVICE)).to.equal(true);
      machine.mock.stopRing(0);
      frontend.wait((done) => frontend.resetDevice(done));
      expect(frontend.closed).to.equal(false);
    });
  });
});
