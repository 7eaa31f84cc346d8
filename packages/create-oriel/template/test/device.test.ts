/** Tests the device with no VM: a mock driver on real rings in real memory, in this process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockingLoop, openSys } from '@oriel/sys';
import { deviceConformance, MockHost } from '@oriel/virtio-device/testing';
import { MyDevice } from '../src/device.ts';

const sys = openSys();
const makeLoop = () => new BlockingLoop(sys);
const text = (words: string) => new TextEncoder().encode(words);

test('answers in reverse', async () => {
  using loop = makeLoop();
  using device = new MyDevice();
  using host = new MockHost(device, { sys, loop });
  host.attach();
  host.start();
  const { written, bytes } = await host.request(0, [text('leiro')], [16]);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, written)), 'oriel');
});

const requests = [{ queue: 0, readable: [text('ab')], writable: [2] }];
for (const { name, run } of deviceConformance(() => new MyDevice(), { sys, makeLoop, requests })) test(name, run);
