/**
 * A back-end that checks nothing and has no device, and that may have a fault: `node toy-backend.ts FAULT SOCKET`. Message 46
 * brings the fault out. `none`; `refuses`: closes the connection; `dies`: kills itself; `hangs`: answers nobody any more;
 * `sulks`: closes every connection from then on; `once`: serves one connection, and ends with status 0; `crashes-once`: serves
 * one connection too, and kills itself.
 */
import { createServer, type Socket } from 'node:net';

const [fault, path] = process.argv.slice(2) as [string, string];
const HEADER = 12;
const BAD = 46;
const REPLY = 5;
const GET_FEATURES = 1;
const GET_VRING_BASE = 11;
const GET_PROTOCOL_FEATURES = 15;
const OWN_REPLIES = [6, 22, 26, 28, 30, 31, 40, 41, 42, 43];
const FEATURES = (1n << 32n) | (1n << 30n);
const REPLY_ACK = 1n << 3n;
const NEED_REPLY = 8;

let hangs = false;
let sulks = false;

function reply(socket: Socket, id: number, value: bigint): void {
  const out = Buffer.alloc(HEADER + 8);
  out.writeUInt32LE(id, 0);
  out.writeUInt32LE(REPLY, 4);
  out.writeUInt32LE(8, 8);
  out.writeBigUInt64LE(value, HEADER);
  socket.write(out);
}

function misbehave(socket: Socket): void {
  if (fault === 'dies' || fault === 'crashes-once') process.kill(process.pid, 'SIGABRT');
  if (fault === 'hangs') hangs = true;
  if (fault === 'sulks') sulks = true;
  if (fault === 'refuses') socket.destroy();
}

function serve(socket: Socket, id: number, flags: number): void {
  if (id === BAD) misbehave(socket);
  if (hangs || socket.destroyed) return;
  if (id === GET_FEATURES) reply(socket, id, FEATURES);
  else if (id === GET_PROTOCOL_FEATURES) reply(socket, id, REPLY_ACK);
  else if (id === GET_VRING_BASE || OWN_REPLIES.includes(id)) reply(socket, id, 0n);
  else if ((flags & NEED_REPLY) !== 0) reply(socket, id, 0n);
}

const server = createServer((socket) => {
  let rest = Buffer.alloc(0);
  if (sulks) socket.destroy();
  if (fault === 'once' || fault === 'crashes-once') server.close();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER && rest.length >= HEADER + rest.readUInt32LE(8)) {
      serve(socket, rest.readUInt32LE(0), rest.readUInt32LE(4));
      rest = rest.subarray(HEADER + rest.readUInt32LE(8));
    }
  });
});
server.listen(path, () => console.log('listening'));
