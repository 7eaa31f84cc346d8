import { join } from 'node:path';
import { BlockingLoop, check, Fd, NodeLoop } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { ConsoleDevice } from '../examples/console-device.ts';
import { ConnectedMachine, deviceConformance, MockHost, ServedProgram } from '../src/testing/index.ts';
import { example } from './examples.ts';
import { socketPair, sys } from './machine.ts';

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

describe('the console example, as a program', () => {
  it('prints what the guest says, and gives the guest what is typed', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'con.sock');
    await using program = await ServedProgram.start(example('serve-console.ts'), socketPath);
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const [receive, transmit] = [machine.start(0), machine.start(1)];
      const { written } = machine.ask(transmit, [text('login'), text(': ')], []);
      expect(written).to.equal(0);
      await program.said(/login: $/);
      receive.send([], [3]);
      receive.send([], [64]);
      program.child.stdin!.write('root\n');
      const [first, second] = [machine.answer(receive), machine.answer(receive)];
      expect(Buffer.from(first.bytes.subarray(0, first.written)).toString()).to.equal('roo');
      expect(Buffer.from(second.bytes.subarray(0, second.written)).toString()).to.equal('t\n');
      const long = 'the quick brown fox\n'.repeat(1000);
      machine.ask(transmit, [text(long)], []);
      await program.said(/\n$/);
      program.child.stdin!.end();
    }
    expect(await program.ended).to.deep.equal([0, null]);
    expect(program.text.match(/the quick brown fox\n/g)).to.have.length(1000);
  });
});

describe('ConsoleDevice', () => {
  it('takes no more than the guest has room for, and leaves the rest for later', async () => {
    using _leaks = leakCheck();
    const [ours, theirs] = socketPair();
    using input = new Fd(sys.fd, ours);
    using keyboard = theirs;
    using loop = new BlockingLoop(sys);
    using device = new ConsoleDevice({ input: input.fd, output: 2, columns: 80, rows: 25 });
    expect([...new Uint16Array(device.config.buffer, 0, 2)]).to.deep.equal([80, 25]);
    using host = new MockHost(device, { sys, loop });
    host.attach();
    host.start();
    check(sys.fd.write(keyboard.fd, text('abcdef'), 6), 'write');
    for (let turn = 0; turn < 5; turn++) loop.runOnce(0);
    expect(host.driver(0).take()).to.equal(null);
    const first = await host.request(0, [], [4]);
    expect(Buffer.from(first.bytes).toString()).to.equal('abcd');
    host.pause();
    host.start();
    const second = await host.request(0, [], [4]);
    expect(second.written).to.equal(2);
    expect(Buffer.from(second.bytes.subarray(0, 2)).toString()).to.equal('ef');
    keyboard.close();
    for (let turn = 0; turn < 5; turn++) loop.runOnce(0);
    host.driver(0).send([], [4]);
    for (let turn = 0; turn < 5; turn++) loop.runOnce(0);
    expect(host.driver(0).take(), 'the end of the input').to.equal(null);
  });
});

for (const [driver, Loop] of Object.entries({ blocking: BlockingLoop, node: NodeLoop })) {
  describe(`deviceConformance of the console example, ${driver} driver`, () => {
    let ends: [number, Fd];
    before(() => {
      ends = socketPair();
      new Loop(sys)[Symbol.dispose]();
    });
    after(() => {
      ends[1].close();
      new Fd(sys.fd, ends[0]).close();
    });
    const options = {
      sys,
      makeLoop: () => new Loop(sys),
      requests: [{ queue: 1, readable: [text('.')], writable: [] }],
    };
    for (const { name, run } of deviceConformance(
      () => new ConsoleDevice({ input: ends[0], output: ends[0] }),
      options,
    )) {
      it(name, run);
    }
  });
}
