import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FeatureSet, profiles, withoutMemorySlots } from '../src/index.ts';
import { negotiateRaw, PROTOCOL_FEATURES, runningPrelude, SentFds, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

const SET_FEATURES = 2;
const SET_PROTOCOL = 16;
const GET_CONFIG = 24;
const SET_CONFIG = 25;
const SET_STATUS = 39;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const value = (setup: RawSetup, id: number) => {
  setup.peer.send(id, 1);
  return Number(new DataView(setup.peer.receive().payload.buffer).getBigUint64(0, true));
};

describe('BackendConnection, negotiation', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('offers what the device has, and nothing it does not serve', () => {
    const handler = new RecordingHandler();
    {
      using setup = new RawSetup({ handler });
      expect(value(setup, 15)).to.equal(PROTOCOL_FEATURES);
    }
    {
      handler.configSize = 0;
      handler.shmRegions = [];
      using setup = new RawSetup({ handler });
      expect(value(setup, 15)).to.equal(PROTOCOL_FEATURES & ~(1 << 9) & ~(1 << 22));
    }
    {
      handler.shmRegions = [{ shmid: 1, size: 0x1000 }];
      using setup = new RawSetup({ handler, profile: profiles.alioth });
      expect(value(setup, 15)).to.equal((PROTOCOL_FEATURES & ~(1 << 9) & ~(1 << 22)) | (1 << 21));
    }
  });

  it('offers no memory slots where they are not wanted', () => {
    const profile = withoutMemorySlots(profiles.qemu);
    expect(profile.limits.maxMappings).to.equal(4);
    using setup = new RawSetup({ profile });
    expect(value(setup, 15)).to.equal(PROTOCOL_FEATURES & ~(1 << 15));
  });

  it('tells the device of the features without bit 30', () => {
    using setup = new RawSetup();
    negotiateRaw(setup);
    setup.settle();
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001']);
    expect(setup.backend.acceptedFeatures.bits()).to.deep.equal([0, 29, 32]);
    expect(setup.backend.acceptedProtocolFeatures.bits()).to.deep.equal([0, 3, 5, 9, 10, 13, 15, 16, 22]);
  });

  it('masks bits that were not offered, warning once, for front-ends that set them', () => {
    using setup = new RawSetup({ profile: profiles.qemu });
    setup.peer.send(SET_PROTOCOL, 1, u64s(8));
    expect(setup.peer.ask(SET_FEATURES, u64s(0x101_7000_0001))).to.equal(0);
    expect(setup.peer.ask(SET_FEATURES, u64s(0x101_7000_0001))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001', 'features 0x120000001']);
    expect(setup.lines.length).to.equal(1);
  });

  it('refuses bits that were not offered, for the others, and holds FEATURES_OK back', () => {
    using setup = new RawSetup({ profile: profiles.strict });
    setup.peer.send(SET_PROTOCOL, 1, u64s(PROTOCOL_FEATURES));
    expect(setup.peer.ask(SET_FEATURES, u64s(0x1_6400_0001))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_FEATURES');
    expect(setup.peer.ask(SET_STATUS, u64s(0xb))).to.equal(0);
    expect(value(setup, 40)).to.equal(3);
    expect(setup.peer.ask(SET_FEATURES, u64s(0x1_6000_0001))).to.equal(0);
    expect(setup.peer.ask(SET_STATUS, u64s(0xb))).to.equal(0);
    expect(value(setup, 40)).to.equal(0xb);
  });

  for (const bit of [1, 2, 14, 17, 20, 21, 23, 63]) {
    it(`refuses protocol feature ${bit}, which was not offered`, () => {
      using setup = new RawSetup();
      setup.peer.send(SET_PROTOCOL, 1, u64s(8));
      expect(setup.peer.ask(SET_PROTOCOL, u64s(8n | (1n << BigInt(bit))))).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_FEATURES');
      expect(setup.backend.acceptedProtocolFeatures.bits()).to.deep.equal([3]);
    });
  }

  it('lets nothing change while rings run, but takes the same again', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    expect(setup.peer.ask(SET_FEATURES, u64s(0x1_6000_0001))).to.equal(0);
    expect(setup.peer.ask(SET_FEATURES, u64s(0x1_4000_0001))).to.equal(1);
    expect(setup.peer.ask(SET_PROTOCOL, u64s(PROTOCOL_FEATURES))).to.equal(0);
    expect(setup.peer.ask(SET_PROTOCOL, u64s(8))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
  });

  it('takes a device that refuses features at its word', () => {
    using setup = new RawSetup();
    setup.peer.send(SET_PROTOCOL, 1, u64s(8));
    setup.handler.on.features = () => {
      throw new RangeError('not these');
    };
    expect(setup.peer.ask(SET_FEATURES, u64s(0x1_6000_0001))).to.equal(1);
    expect(setup.backend.acceptedFeatures.isEmpty).to.equal(true);
  });

  describe('status', () => {
    it('gives back what was set, of 8 bits', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      expect(setup.peer.ask(SET_STATUS, u64s(0xff))).to.equal(0);
      expect(value(setup, 40)).to.equal(0xff);
      expect(setup.peer.ask(SET_STATUS, u64s(0x100))).to.equal(1);
      expect(setup.peer.ask(SET_STATUS, u64s(2 ** 32))).to.equal(1);
      expect(value(setup, 40)).to.equal(0xff);
    });

    it('is a reset at 0, except with QEMU', () => {
      for (const [profile, calls] of [
        [profiles.strict, ['stop 0', 'suspended', 'reset']],
        [profiles.qemu, []],
      ] as const) {
        using setup = new RawSetup({ profile });
        runningPrelude(setup);
        expect(setup.peer.ask(SET_STATUS, u64s(0))).to.equal(0);
        expect(setup.handler.take()).to.deep.equal(calls);
      }
    });
  });

  describe('configuration', () => {
    const get = (setup: RawSetup, offset: number, size: number, flags = 0) => {
      setup.peer.send(GET_CONFIG, 1, new Uint8Array([...u32s(offset, size, flags), ...new Uint8Array(size)]));
      return hex(setup.peer.receive().payload);
    };
    const head = (...words: number[]) => hex(u32s(...words));

    it('is zero behind the end of the device, up to what QEMU may ask', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      expect(get(setup, 42, 4)).to.equal(`${head(42, 4, 0)}2b2c0000`);
      expect(get(setup, 0, 256).length).to.equal(2 * 268);
      expect(get(setup, 100, 2)).to.equal(`${head(100, 2, 0)}0000`);
      expect(get(setup, 44, 0)).to.equal(head(44, 0, 0));
      const reads = setup.handler.take().filter((call) => call.startsWith('readConfig'));
      expect(reads).to.deep.equal(['readConfig 42+2', 'readConfig 0+44']);
    });

    it('keeps the flags that crosvm sets', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      expect(get(setup, 0, 1, 1)).to.equal(`${head(0, 1, 1)}01`);
    });

    for (const [what, offset, size, flags] of [
      ['past 256 bytes', 250, 7, 0],
      ['at an offset that wraps with its size', 0xffff_fffc, 8, 0],
      ['with flags', 0, 4, 4],
    ] as const) {
      it(`answers a read ${what} with an empty payload and stays`, () => {
        using setup = new RawSetup();
        negotiateRaw(setup);
        expect(get(setup, offset, size, flags)).to.equal('');
        expect(setup.lines.length).to.equal(1);
        expect(setup.peer.ask(3)).to.equal(0);
      });
    }

    it('answers a read that the device fails with an empty payload', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      setup.handler.on.config = () => {
        throw new Error('no');
      };
      expect(get(setup, 0, 4)).to.equal('');
    });

    it('writes what lies in the device, and drops the padding that QEMU writes back', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      const whole = new Uint8Array([...u32s(0, 48, 0), ...new Uint8Array(48).fill(7)]);
      expect(setup.peer.ask(SET_CONFIG, whole)).to.equal(0);
      expect(setup.handler.take().at(-1)).to.equal('writeConfig 0+44');
      expect(setup.handler.config.every((byte) => byte === 7)).to.equal(true);
    });

    for (const [what, payload] of [
      ['behind the device', [...u32s(44, 1, 0), 1]],
      ['past 256 bytes', [...u32s(250, 7, 0), 1, 1, 1, 1, 1, 1, 1]],
      ['with flags', [...u32s(0, 1, 8), 1]],
    ] as const) {
      it(`refuses a write ${what}`, () => {
        using setup = new RawSetup();
        negotiateRaw(setup);
        expect(setup.peer.ask(SET_CONFIG, [...payload])).to.equal(1);
        expect(setup.lines.at(-1)).to.include('ERR_VU_CONFIG');
      });
    }

    it('refuses a write that the device refuses', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      setup.handler.on.config = () => {
        throw new Error('read-only');
      };
      expect(setup.peer.ask(SET_CONFIG, [...u32s(0, 1, 0), 1])).to.equal(1);
    });

    it('closes at a size field that is not the payload', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      setup.peer.send(GET_CONFIG, 1, u32s(0, 4, 0));
      expect(setup.peer.receiveHex()).to.equal('eof');
      expect(setup.handler.calls.at(-1)).to.include('ERR_VU_SIZE');
    });
  });

  it('gives the display socket of vhost-user-gpu to the device that wants it', () => {
    class Gpu extends RecordingHandler {
      setGpuSocket(socket: NonNullable<RecordingHandler['gpuSocket']>): void {
        this.gpuSocket = socket;
      }
    }
    using setup = new RawSetup({ handler: new Gpu() });
    negotiateRaw(setup);
    using fds = new SentFds(setup.sys, ['socket']);
    expect(setup.peer.ask(33, [], fds.numbers)).to.equal(0);
    expect(setup.sys.socket.isListening(setup.handler.gpuSocket!.fd)).to.equal(0);
  });

  it('refuses a display socket that is none', () => {
    class Gpu extends RecordingHandler {
      setGpuSocket(): void {
        this.calls.push('display');
      }
    }
    using setup = new RawSetup({ handler: new Gpu() });
    negotiateRaw(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(33, [], fds.numbers)).to.equal(1);
    expect(setup.handler.calls).not.to.include('display');
  });

  it('offers the features of the handler as they are, with bit 30', () => {
    const handler = new RecordingHandler();
    handler.features = FeatureSet.of(63, 32, 5);
    using setup = new RawSetup({ handler });
    setup.peer.send(1, 1);
    expect(hex(setup.peer.receive().payload)).to.equal('2000004001000080');
  });
});
