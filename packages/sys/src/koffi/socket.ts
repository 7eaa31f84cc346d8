/** The socket slice. */
import { EINVAL } from '../constants/errno.ts';
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_ACCEPTCONN,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../constants/socket.ts';
import type { SysSocket } from '../sys.ts';
import { Message, SCM_MAX_FD } from './control.ts';
import { addressOf, errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';
import { openUnixAddress } from './unix-address.ts';

/** `struct ucred`: pid, uid, gid. */
const UCRED_LEN = 12;

/** @param scratch - memory for message headers, control data and addresses */
export function openSocket(scratch: Scratch): SysSocket {
  const { socketpair, accept4, sendmsg, recvmsg, shutdown, getsockopt } = SYS;
  const ii = rawCall('ii');
  const iii = rawCall('iii');
  const iiii = rawCall('iiii');
  const iiiii = rawCall('iiiii');
  const view = scratch.view;
  const pair = scratch.take(8);
  const option = scratch.take(8);
  const credentials = scratch.take(UCRED_LEN + 4);
  const outgoing = new Message(scratch);
  const incoming = new Message(scratch);
  const unix = openUnixAddress(scratch);

  return {
    socketpair(out) {
      if (iiii(socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.addr) === -1) {
        return -errno();
      }
      out[0] = view.getInt32(pair.base, true);
      out[1] = view.getInt32(pair.base + 4, true);
      return 0;
    },
    listenUnix: unix.listen,
    connectUnix: unix.connect,
    bindDatagram: unix.bindDatagram,
    connectDatagram: unix.connectDatagram,
    accept(fd) {
      const result = iiii(accept4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
      return result === -1 ? -errno() : result;
    },
    sendmsg(fd, from, len, fds, fdCount) {
      if (fdCount < 0 || fdCount > SCM_MAX_FD || fdCount > (fds === null ? 0 : fds.length)) {
        return -EINVAL;
      }
      outgoing.pack(addressOf(from), len, fds, fdCount);
      const result = iii(sendmsg, fd, outgoing.header.addr, MSG_NOSIGNAL | MSG_DONTWAIT);
      return result === -1 ? -errno() : result;
    },
    recvmsg(fd, to, len, result) {
      result.fdCount = 0;
      result.truncated = false;
      incoming.expect(addressOf(to), len, result.fds.length);
      const received = iii(recvmsg, fd, incoming.header.addr, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
      if (received === -1) {
        return -errno();
      }
      incoming.unpack(result);
      result.truncated = (incoming.flags & MSG_CTRUNC) !== 0;
      return received;
    },
    makeRecvResult(maxFds) {
      if (!(Number.isInteger(maxFds) && maxFds >= 0 && maxFds <= SCM_MAX_FD)) {
        throw new RangeError(`maxFds must be 0 to ${SCM_MAX_FD}, got ${maxFds}`);
      }
      return { fds: new Int32Array(maxFds).fill(-1), fdCount: 0, truncated: false };
    },
    shutdown(fd, how) {
      return ii(shutdown, fd, how) === -1 ? -errno() : 0;
    },
    isListening(fd) {
      view.setUint32(option.base + 4, 4, true);
      if (iiiii(getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, option.addr, option.addr + 4) === -1) {
        return -errno();
      }
      return view.getInt32(option.base, true) === 0 ? 0 : 1;
    },
    peerPid(fd) {
      view.setUint32(credentials.base + UCRED_LEN, UCRED_LEN, true);
      const len = credentials.addr + UCRED_LEN;
      return iiiii(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, credentials.addr, len) === -1
        ? -errno()
        : view.getInt32(credentials.base, true);
    },
  };
}
