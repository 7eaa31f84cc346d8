import { join } from 'node:path';
import { BlockingLoop, NodeLoop } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { GpioDevice, LAMPS } from '../examples/gpio/device.ts';
import * as gpio from '../examples/gpio/layout.ts';
import {
  ConnectedMachine,
  deviceConformance,
  type HeldRequest,
  type SampleRequest,
  ServedProgram,
} from '../src/testing/index.ts';
import { example } from './examples.ts';
import { sys } from './machine.ts';

const { VIRTIO_GPIO_STATUS_OK: OK, VIRTIO_GPIO_STATUS_ERR: ERR } = gpio;
const { VIRTIO_GPIO_MSG_GET_DIRECTION: GET_DIRECTION, VIRTIO_GPIO_MSG_SET_DIRECTION: SET_DIRECTION } = gpio;
const { VIRTIO_GPIO_MSG_GET_VALUE: GET, VIRTIO_GPIO_MSG_SET_VALUE: SET, VIRTIO_GPIO_MSG_IRQ_TYPE: IRQ_TYPE } = gpio;
const { VIRTIO_GPIO_DIRECTION_OUT: OUT, VIRTIO_GPIO_DIRECTION_IN: IN } = gpio;
const { VIRTIO_GPIO_IRQ_TYPE_NONE: NONE, VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING: RISING } = gpio;
const { VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH: BOTH } = gpio;
const { VIRTIO_GPIO_IRQ_STATUS_VALID: VALID, VIRTIO_GPIO_IRQ_STATUS_INVALID: INVALID } = gpio;

function request(type: number, line: number, value = 0): Uint8Array {
  const bytes = new Uint8Array(gpio.VirtioGpioRequest.byteLength);
  const view = new DataView(bytes.buffer);
  gpio.VirtioGpioRequest.type.set(view, 0, type);
  gpio.VirtioGpioRequest.gpio.set(view, 0, line);
  gpio.VirtioGpioRequest.value.set(view, 0, value);
  return bytes;
}

/** A buffer for the interrupt of a line. */
const irq = (line: number): Uint8Array => Uint8Array.of(line & 0xff, line >> 8);

describe('the gpio example, as a program', () => {
  it('lights lamps, reads keys and interrupts', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'gpio.sock');
    await using program = await ServedProgram.start(example('serve-gpio.ts'), socketPath);
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const [requests, events] = [machine.start(0), machine.start(1)];
      const ask = (type: number, line: number, value = 0): number[] => [
        ...machine.ask(requests, [request(type, line, value)], [2]).bytes,
      ];
      const config = machine.config(gpio.VirtioGpioConfig.byteLength);
      expect([...config]).to.deep.equal([8, 0, 0, 0, 44, 0, 0, 0]);
      const { bytes, written } = machine.ask(requests, [request(gpio.VIRTIO_GPIO_MSG_GET_NAMES, 0)], [45]);
      expect(written).to.equal(45);
      const names = Buffer.from(bytes.subarray(1)).toString().split('\0').slice(0, 8);
      expect(names).to.deep.equal(['lamp0', 'lamp1', 'lamp2', 'lamp3', 'key0', 'key1', 'key2', 'key3']);

      expect(ask(GET, 1), 'no direction').to.deep.equal([ERR, 0]);
      expect(ask(SET, 1, 1)).to.deep.equal([OK, 0]);
      expect(ask(SET_DIRECTION, 5, IN)).to.deep.equal([OK, 0]);
      expect(ask(GET, 5), 'not an output yet').to.deep.equal([OK, 0]);
      expect(ask(IRQ_TYPE, 5, BOTH)).to.deep.equal([OK, 0]);
      events.send([irq(5)], [1]);
      expect(ask(SET_DIRECTION, 1, OUT)).to.deep.equal([OK, 0]);
      await program.said(/^lamp 1 is on$/m);
      expect([...machine.answer(events).bytes]).to.deep.equal([VALID]);
      expect(ask(GET_DIRECTION, 1)).to.deep.equal([OK, OUT]);
      expect(ask(GET, 1)).to.deep.equal([OK, 1]);
      expect(ask(GET, 5)).to.deep.equal([OK, 1]);
      expect(ask(SET, 1, 0)).to.deep.equal([OK, 0]);
      expect([...machine.ask(events, [irq(5)], [1]).bytes], 'an edge that nobody waited for').to.deep.equal([VALID]);
      events.send([irq(5)], [1]);
      expect([...machine.ask(events, [irq(5)], [1]).bytes], 'a second buffer').to.deep.equal([INVALID]);
      expect(ask(IRQ_TYPE, 5, NONE)).to.deep.equal([OK, 0]);
      expect([...machine.answer(events).bytes]).to.deep.equal([INVALID]);
      for (const line of [5, 8, 0xffff]) {
        expect([...machine.ask(events, [irq(line)], [1]).bytes], `line ${line}`).to.deep.equal([INVALID]);
      }
      expect(ask(SET, 1, 1)).to.deep.equal([OK, 0]);
    }
    expect(await program.ended).to.deep.equal([0, null]);
    expect(program.text).to.match(/1 is on.*1 is off.*1 is on.*1 is off/s);
  });

  it('refuses what no line can do', async () => {
    using dir = tempDir();
    const socketPath = join(dir.path, 'gpio.sock');
    await using program = await ServedProgram.start(example('serve-gpio.ts'), socketPath);
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const driver = machine.start(0);
      const wrong: readonly (readonly [number, number, number])[] = [
        [SET, 5, 1],
        [SET, 1, 2],
        [SET_DIRECTION, 1, IN],
        [SET_DIRECTION, 5, OUT],
        [SET_DIRECTION, 1, 3],
        [IRQ_TYPE, 1, RISING],
        [IRQ_TYPE, 5, 4],
        [GET, 8, 0],
        [GET, 0xffff, 0],
        [77, 0, 0],
      ];
      for (const [type, line, value] of wrong) {
        const { bytes } = machine.ask(driver, [request(type, line, value)], [2]);
        expect([...bytes], `${type} of ${line}: ${value}`).to.deep.equal([ERR, 0]);
      }
      expect([...machine.ask(driver, [new Uint8Array(7)], [2]).bytes]).to.deep.equal([ERR, 0]);
    }
    expect(await program.ended).to.deep.equal([0, null]);
  });
});

const answers =
  (...bytes: number[]): NonNullable<SampleRequest['verify']> =>
  (reply) =>
    expect([...reply.bytes]).to.deep.equal(bytes);
const KEY = LAMPS;
const requests: readonly SampleRequest[] = [
  { queue: 0, readable: [request(SET_DIRECTION, KEY, IN)], writable: [2], verify: answers(OK, 0) },
  { queue: 0, readable: [request(IRQ_TYPE, KEY, BOTH)], writable: [2], verify: answers(OK, 0) },
  { queue: 1, readable: [irq(KEY + 1)], writable: [1], verify: answers(INVALID) },
];

for (const [driver, Loop] of Object.entries({ blocking: BlockingLoop, node: NodeLoop })) {
  describe(`deviceConformance of the gpio example, ${driver} driver`, () => {
    let device = new GpioDevice();
    let down = false;
    const makeDevice = (): GpioDevice => {
      down = false;
      device = new GpioDevice();
      return device;
    };
    const held: HeldRequest = {
      queue: 1,
      readable: [irq(KEY)],
      writable: [1],
      verify: answers(VALID),
      release: () => device.setKey(0, (down = !down)),
    };
    before(() => new Loop(sys)[Symbol.dispose]());
    const options = { sys, makeLoop: () => new Loop(sys), requests, held };
    for (const { name, run } of deviceConformance(makeDevice, options)) it(name, run);
  });
}
