/** What every device must bear, as a list of checks: no test runner is assumed. */
import { leakCheck } from '@oriel/sys/testing';
import { profiles } from '@oriel/vhost-user';
import { checkDefinition } from '../definition.ts';
import type { VirtioDevice } from '../device.ts';
import { Bench, type BenchCheck, type ConformanceOptions, expect, PATIENT_TURNS } from './bench.ts';
import { heldChecks } from './held-checks.ts';
import { heldKillChecks, killChecks } from './kill-checks.ts';

/** One check. `run` rejects when the device fails it. */
export interface ConformanceCheck {
  readonly name: string;
  readonly run: () => Promise<void>;
}

const OUTSIDE_GPA = 0x7fff_0000_0000;

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

const checks: readonly BenchCheck[] = [
  {
    name: 'declares what VIRTIO allows',
    async check({ device }) {
      checkDefinition(device, profiles.strict);
      expect(Number.isInteger(device.deviceId) && device.deviceId > 0, `device id ${device.deviceId}`);
    },
  },
  {
    name: 'keeps the length of its configuration space',
    async check({ device, host }) {
      const { length } = device.config;
      host.attach();
      expect(device.config.length === length, 'another length after attach');
      host.start();
      expect(device.config.length === length, 'another length after start');
    },
  },
  {
    name: 'starts and stops every queue, twice',
    async check(bench) {
      const { host } = bench;
      bench.begin();
      host.pause();
      host.start();
      host.pause();
    },
  },
  {
    name: 'answers its driver',
    async check(bench) {
      bench.begin();
      await bench.exercise();
      expect(bench.host.brokenQueues.length === 0, 'a queue broke');
    },
  },
  {
    name: 'goes on after a pause',
    async check(bench) {
      const { host } = bench;
      bench.begin();
      await bench.exercise();
      host.pause();
      await bench.turns(2);
      host.start();
      expect(host.running, 'no queue runs');
      await bench.turns(2);
      await bench.beginsAnew();
    },
  },
  {
    name: 'answers once what a pause came between',
    async check(bench) {
      const { host } = bench;
      bench.begin();
      for (const request of bench.requests) {
        await bench.send(request);
        host.pause();
        await bench.turns(2);
        host.start();
        await bench.answered(request);
      }
      await bench.turns(2);
      bench.nothingMore();
    },
  },
  {
    name: 'touches nothing while its queues are stopped',
    async check(bench) {
      const { host, device } = bench;
      bench.begin();
      await bench.exercise();
      for (let index = 0; index < device.queueCount; index++) {
        host.driver(index).send([new Uint8Array(8)], [8]);
      }
      host.pause();
      const before = host.ram.u8.slice();
      const sent = host.transport.sent.length;
      await bench.turns(PATIENT_TURNS);
      expect(sameBytes(before, host.ram.u8), 'guest memory changed');
      expect(host.transport.sent.length === sent, 'a mapping message was sent');
    },
  },
  {
    name: 'starts afresh after a reset',
    async check(bench) {
      const { host, device } = bench;
      const initial = device.config.slice();
      bench.begin();
      await bench.exercise();
      host.reset();
      expect(sameBytes(initial, device.config), 'the configuration space kept a change');
      host.start();
      await bench.exercise();
    },
  },
  {
    name: 'serves the next front-end after one left in the middle of a request',
    async check(bench) {
      const { host, device } = bench;
      bench.begin();
      for (let index = 0; index < device.queueCount; index++) {
        host.driver(index).send([new Uint8Array(64)], [64]);
      }
      host.detach();
      await bench.turns(2);
      bench.begin();
      await bench.exercise();
    },
  },
  {
    name: 'bears requests that it does not know',
    async check(bench) {
      const { host, device } = bench;
      bench.begin();
      for (let index = 0; index < device.queueCount; index++) {
        for (const fill of [0x00, 0xff, 0x5a]) {
          host.driver(index).send([new Uint8Array(128).fill(fill)], [64]);
        }
      }
      await bench.turns(PATIENT_TURNS);
      await bench.beginsAnew();
    },
  },
  {
    name: 'bears chains of any shape',
    async check(bench) {
      const { host, device } = bench;
      bench.begin();
      const { gpa } = host.ram;
      for (let index = 0; index < device.queueCount; index++) {
        const driver = host.driver(index);
        driver.send([], [1]);
        driver.send([new Uint8Array(1)], []);
        driver.send([new Uint8Array(1)], [1]);
        driver.send([new Uint8Array(0)], [0]);
        driver.send([new Uint8Array(39), new Uint8Array(1), new Uint8Array(200)], [3, 5, 4096]);
        driver.sendRaw([{ gpa: OUTSIDE_GPA, len: 64, writable: false }]);
        driver.sendRaw([{ gpa: gpa + host.ram.size - 8, len: 64, writable: true }]);
      }
      await bench.turns(PATIENT_TURNS);
      await bench.beginsAnew();
    },
  },
  {
    name: 'lives with a ring that breaks',
    async check(bench) {
      const { host, device } = bench;
      bench.begin();
      for (let index = 0; index < device.queueCount; index++) {
        host.driver(index).breakRing();
      }
      await bench.turns(PATIENT_TURNS);
      await bench.beginsAnew();
    },
  },
  {
    name: 'bears a front-end that refuses every mapping',
    async check(bench) {
      bench.host.transport.behaviour.answer = () => -5;
      bench.begin();
      await bench.exercise();
    },
  },
  {
    name: 'bears a front-end that answers mappings late, across a stop',
    async check(bench) {
      const { host, device } = bench;
      host.transport.behaviour.delayMs = 20;
      bench.begin();
      await bench.exercise();
      for (let index = 0; index < device.queueCount; index++) {
        host.driver(index).send([new Uint8Array(64)], [64]);
      }
      await bench.turns(1);
      host.pause();
      await host.until(() => host.transport.waiting === 0);
      host.start();
      await bench.turns(2);
    },
  },
];

/** Both formats of the ring, unless `host.packed` chooses one. */
function formatsOf({ host }: ConformanceOptions): readonly { readonly packed: boolean; readonly suffix: string }[] {
  const split = { packed: false, suffix: '' };
  const packed = { packed: true, suffix: ' (packed rings)' };
  return host?.packed === undefined ? [split, packed] : [host.packed ? packed : split];
}

function checksFor({ held, survives = false }: ConformanceOptions): readonly BenchCheck[] {
  const heldOnes = held === undefined ? [] : [...heldChecks(held), ...(survives ? heldKillChecks(held) : [])];
  return [...checks, ...(survives ? killChecks : []), ...heldOnes];
}

/**
 * The checks for a device, over split and over packed rings, each with a device and a machine of its own, followed by a count of what was left open.
 * @param makeDevice - makes a device as it is before its first front-end
 * @example
 * for (const { name, run } of deviceConformance(() => new MyDevice(), { sys, makeLoop })) it(name, run);
 */
export function deviceConformance(
  makeDevice: () => VirtioDevice,
  options: ConformanceOptions,
): readonly ConformanceCheck[] {
  return formatsOf(options).flatMap(({ packed, suffix }) =>
    checksFor(options).map(({ name, check, survives: survive = false }) => ({
      name: `${name}${suffix}`,
      async run() {
        const leaks = leakCheck();
        {
          using bench = new Bench(makeDevice, { ...options, host: { ...options.host, packed, survive } });
          await check(bench);
        }
        await leaks.settled();
      },
    })),
  );
}
