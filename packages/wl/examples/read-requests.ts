/** Reads what a client sends, and says how many descriptors belong to each request. */
import {
  ArgumentReader,
  DISPLAY_ID,
  encodeMessage,
  type Interface,
  interfaceOf,
  MessageStream,
  ObjectTable,
} from '@oriel/wl';

const display = interfaceOf('wl_display')!;
const shm = interfaceOf('wl_shm')!;
const objects = new ObjectTable<Interface>(1000);
objects.add(DISPLAY_ID, 'client', display);
objects.add(3, 'client', shm);
const sync = encodeMessage(DISPLAY_ID, 0, display.requests[0]!, [2]);
const createPool = encodeMessage(3, 0, shm.requests[0]!, [4, 4096]);

const stream = new MessageStream();
const args = new ArgumentReader();
for (const bytes of [sync, createPool]) {
  stream.room(bytes.length).set(bytes); // a read from a socket goes here
  stream.filled(bytes.length);
}
while (stream.next()) {
  const { name, requests } = objects.expect(stream.objectId);
  const message = requests[stream.opcode]!;
  args.read(message, stream.view, stream.start, stream.size);
  console.log(`${name}.${message.name} ${args.uint(0)}: ${message.fdCount} descriptors`);
}
