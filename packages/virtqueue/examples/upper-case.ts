/** A device that answers every request in upper case, and a driver that sends it two. */
import { openSys } from '@oriel/sys';
import { type DeviceQueue, SplitQueue } from '@oriel/virtqueue';
import { MockDriver } from '@oriel/virtqueue/testing';

const text = new Uint8Array(64);

function processQueue(queue: DeviceQueue): void {
  for (let chain = queue.next(); chain !== null; chain = queue.next()) {
    const len = Math.max(chain.read(0, text, 0, text.length), 0);
    for (let i = 0; i < len; i++) if (text[i]! >= 97 && text[i]! <= 122) text[i]! -= 32;
    const written = Math.max(chain.write(0, text, 0, len), 0);
    queue.complete(chain, written);
  }
  queue.flush();
}

using driver = new MockDriver(openSys());
const end = driver.queue(0);
const queue = new SplitQueue(driver.memory, end.config());
end.onKick = () => processQueue(queue);

end.send([Buffer.from('hello, '), Buffer.from('device')], [64]);
end.send([Buffer.from('too long for its answer')], [8]);
for (const reply of end.receiveAll()) console.log(Buffer.from(reply.data).toString());
console.log(queue.stats);
