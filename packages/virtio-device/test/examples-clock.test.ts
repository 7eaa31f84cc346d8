import { join } from 'node:path';
import { BlockingLoop, Mapping, NodeLoop, PROT_READ } from '@oriel/sys';
import { leakCheck, mockSys, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { ClockConfig, ClockDevice, ClockPage, ClockReply } from '../examples/clock-device.ts';
import { ConnectedMachine, deviceConformance, MockHost, ServedProgram } from '../src/testing/index.ts';
import { example } from './examples.ts';
import { sys } from './machine.ts';

const tick = (bytes: Uint8Array): number => ClockReply.ticks.get(new DataView(bytes.buffer, bytes.byteOffset), 0);

describe('the clock example, as a program', () => {
  it('puts a page into the guest that goes on while nobody asks, and wakes who waits', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'clock.sock');
    await using program = await ServedProgram.start(example('serve-clock.ts'), socketPath);
    using _leaks = leakCheck();
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const driver = machine.start(0);
      const config = machine.config(ClockConfig.byteLength);
      expect([...config]).to.deep.equal([10, 0, 0, 0]);
      machine.mock.runUntil(() => machine.window.size > 0);
      expect([...machine.window].map(([at, { len }]) => [at, len])).to.deep.equal([[0, sys.mem.pageSize]]);
      const { fd, len } = machine.window.get(0)!;
      using page = Mapping.shared(sys.mem, fd.fd, len, 0, PROT_READ);
      const view = new DataView(page.u8.buffer);
      const first = tick(machine.ask(driver, [], [8]).bytes);
      const from = performance.now();
      const second = tick(machine.ask(driver, [], [8]).bytes);
      expect(second).to.be.greaterThan(first);
      const now = ClockPage.ticks.get(view, 0);
      expect(ClockPage.periodMs.get(view, 0)).to.equal(10);
      expect(now).to.be.within(second, second + 1 + Math.floor((performance.now() - from) / 10));
      expect(ClockPage.seconds.get(view, 0)).to.be.closeTo(Date.now() / 1000, 60);
      expect(ClockPage.nanoseconds.get(view, 0)).to.be.below(1e9);
      machine.mock.stopRing(0);
      const ticks = ClockPage.ticks.get(view, 0);
      expect(ClockPage.seq.get(view, 0)).to.equal(2 * ticks);
    }
    expect(await program.ended).to.deep.equal([0, null]);
  });
});

describe('ClockDevice', () => {
  it('wakes after a pause who waited before it', async () => {
    const from = sys.loop.nowNs();
    // No tick comes before the pause.
    let stands = true;
    using loop = new BlockingLoop(mockSys({ loop: { nowNs: () => (stands ? from : sys.loop.nowNs()) } }));
    using device = new ClockDevice({ sys, periodMs: 5 });
    using host = new MockHost(device, { sys, loop });
    host.attach();
    host.start();
    for (let n = 0; n < 3; n++) host.driver(0).send([], [4, 4]);
    loop.runOnce(0);
    host.pause();
    stands = false;
    expect(host.driver(0).take()).to.equal(null);
    host.start();
    for (let n = 0; n < 3; n++) {
      let reply = host.driver(0).take();
      await host.until(() => (reply ??= host.driver(0).take()) !== null);
      expect(reply!.written).to.equal(8);
      expect(tick(reply!.bytes)).to.be.greaterThan(0);
    }
    expect(host.region(0).entries()).to.have.length(1);
  });
});

for (const [driver, Loop] of Object.entries({ blocking: BlockingLoop, node: NodeLoop })) {
  describe(`deviceConformance of the clock example, ${driver} driver`, () => {
    before(() => new Loop(sys)[Symbol.dispose]());
    const makeDevice = () => new ClockDevice({ sys, periodMs: 5 });
    const options = { sys, makeLoop: () => new Loop(sys), requests: [{ queue: 0, readable: [], writable: [8] }] };
    for (const { name, run } of deviceConformance(makeDevice, options)) it(name, run);
  });
}
