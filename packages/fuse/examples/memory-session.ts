/** A session on a file system in memory; the driver's requests are made by hand, a virtqueue would bring them otherwise. */
import { FuseSession } from '@oriel/fuse';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { MemoryFilesystem, MemoryMessage } from '@oriel/fuse/testing';
import { openSys } from '@oriel/sys';

const O_RDWR = 2;
const sys = openSys();
using message = new MemoryMessage(sys.mem);
using session = new FuseSession({
  sys,
  fs: new MemoryFilesystem(),
  finish: (_message, written) => message.finished(written),
});

const request = new RequestEncoder();
const reply = new ReplyDecoder();
const call = (one: RequestEncoder, data?: Uint8Array): ReplyDecoder => {
  session.handle(message.load(one.bytes, one.len, one.room, data));
  return reply.take(one, message.reply, message.written);
};

const { minor, maxWrite } = call(request.init()).readInit();
const { nodeid } = call(request.create(1, 'hello.txt', O_RDWR, 0o100644)).readEntry();
const { fh } = reply;
call(request.write(nodeid, fh, 0, 5), new TextEncoder().encode('hello'));
const text = new TextDecoder().decode(call(request.read(nodeid, fh, 0, 4096)).data);
console.log(
  `FUSE 7.${minor}, ${maxWrite} bytes a request: ${text}; no such file: ${call(request.lookup(1, 'x')).error}`,
);
