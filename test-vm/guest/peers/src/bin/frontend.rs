//! Walks the message table with the front-end of the crate `vhost`: `frontend SOCKET CONFIG_BYTES READABLE.. : WRITABLE..`,
//! where READABLE are buffers in hex and WRITABLE lengths of one request for the last ring. Each message makes one line:
//! its name, then `ok` with what came, `refused` (by the back-end) or `failed` (the connection is of no more use).

use std::env::args;
use std::fmt::Debug;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use oriel_peers::Ram;
use vhost::vhost_user::message::{
    VhostUserConfigFlags, VhostUserHeaderFlag, VhostUserInflight, VhostUserProtocolFeatures,
};
use vhost::vhost_user::{Error as ProtocolError, Frontend, VhostUserFrontend};
use vhost::{Error, VhostBackend, VhostUserDirtyLogRegion};
use vmm_sys_util::eventfd::EventFd;

const RING_SIZE: u16 = 16;
const MOST_QUEUES: u64 = 64;
const VIRTIO_RING_F_EVENT_IDX: u64 = 1 << 29;
const VIRTIO_F_VERSION_1: u64 = 1 << 32;
const VHOST_F_LOG_ALL: u64 = 1 << 26;
const VHOST_USER_F_PROTOCOL_FEATURES: u64 = 1 << 30;
const NEVER_OFFERED: u64 = 1 << 63;

type Outcome<T> = Result<T, Error>;

/// Prints what became of a message. Returns what came.
fn told<T: Debug>(message: &str, outcome: Outcome<T>) -> Option<T> {
    match outcome {
        Ok(value) => {
            println!("{message}\tok\t{value:?}");
            Some(value)
        }
        Err(Error::VhostUserProtocol(ProtocolError::BackendInternalError)) => {
            println!("{message}\trefused\t");
            None
        }
        Err(error) => {
            println!("{message}\tfailed\t{error}");
            None
        }
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits for a call. The back-end may have made the eventfd non-blocking: that is a property of both ends.
fn wait_for(call: &EventFd) {
    let mut poll = libc::pollfd {
        fd: call.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, which is ours.
    assert_eq!(
        unsafe { libc::poll(&mut poll, 1, 5000) },
        1,
        "no call within five seconds"
    );
    call.read().expect("a call");
}

fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    let colon = arguments
        .iter()
        .position(|word| word == ":")
        .expect("a colon between the buffers");
    let config_bytes: u32 = arguments[1].parse().expect("bytes of configuration");
    let readable: Vec<Vec<u8>> = arguments[2..colon].iter().map(|word| bytes_of(word)).collect();
    let writable: Vec<u32> = arguments[colon + 1..]
        .iter()
        .map(|word| word.parse().expect("a length"))
        .collect();

    let mut front = Frontend::connect(&arguments[0], MOST_QUEUES).expect("somebody listens");
    told("SET_OWNER", front.set_owner());
    let offered = told("GET_FEATURES", front.get_features()).unwrap_or(0);
    let protocol =
        told("GET_PROTOCOL_FEATURES", front.get_protocol_features()).unwrap_or(VhostUserProtocolFeatures::empty());
    let has = |feature| protocol.contains(feature);
    told("SET_PROTOCOL_FEATURES", front.set_protocol_features(protocol));
    // From here on each message asks for its acknowledgement, those with a reply of their own too.
    front.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
    told("GET_FEATURES, acknowledged", front.get_features());

    // An index that the back-end does not have, while this front-end does not know how many it has.
    told(
        "SET_VRING_NUM of a ring that is not there",
        front.set_vring_num(MOST_QUEUES as usize - 1, RING_SIZE),
    );
    let queues = match has(VhostUserProtocolFeatures::MQ) {
        true => told("GET_QUEUE_NUM", front.get_queue_num()).unwrap_or(1),
        false => 1,
    };
    let last = queues as usize - 1;
    let back_channel = UnixStream::pair().expect("a pair of sockets");
    if has(VhostUserProtocolFeatures::BACKEND_REQ) {
        told("SET_BACKEND_REQ_FD", front.set_backend_request_fd(&back_channel.1));
    }
    told(
        "SET_FEATURES that were not offered",
        front.set_features(offered | NEVER_OFFERED),
    );
    let wanted = offered & (VIRTIO_F_VERSION_1 | VIRTIO_RING_F_EVENT_IDX | VHOST_USER_F_PROTOCOL_FEATURES);
    told("SET_FEATURES", front.set_features(wanted));

    if has(VhostUserProtocolFeatures::CONFIG) && config_bytes > 0 {
        let room = vec![0; config_bytes as usize];
        let config = front
            .get_config(0, config_bytes, VhostUserConfigFlags::WRITABLE, &room)
            .map(|(_, bytes)| bytes);
        println!("config\t{}", hex_of(config.as_deref().unwrap_or_default()));
        told("GET_CONFIG", config.map(|bytes| bytes.len()));
        // A read that fails is not tried: this crate waits for ever for the bytes that a failure does not have.
        told(
            "SET_CONFIG past the end",
            front.set_config(4000, VhostUserConfigFlags::WRITABLE, &[0; 8]),
        );
    }

    let ram = Ram::new().expect("memory");
    told(
        "SET_VRING_ADDR before there is memory",
        front.set_vring_addr(last, &ram.ring(last, RING_SIZE)),
    );
    told("SET_MEM_TABLE", front.set_mem_table(&[ram.region()]));
    if has(VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS) {
        told("GET_MAX_MEM_SLOTS", front.get_max_mem_slots());
        told("ADD_MEM_REG over another", front.add_mem_region(&ram.region()));
        told("REM_MEM_REG", front.remove_mem_region(&ram.region()));
        told("REM_MEM_REG of none", front.remove_mem_region(&ram.region()));
        told("ADD_MEM_REG", front.add_mem_region(&ram.region()));
    }
    if has(VhostUserProtocolFeatures::INFLIGHT_SHMFD) {
        let wish = VhostUserInflight::new(0, 0, queues as u16, RING_SIZE);
        if let Ok((given, file)) = front.get_inflight_fd(&wish) {
            let bytes = file.metadata().expect("a file").len();
            println!("GET_INFLIGHT_FD\tok\t{} of {bytes} bytes", given.mmap_size);
            told("SET_INFLIGHT_FD", front.set_inflight_fd(&given, file.as_raw_fd()));
        } else {
            println!("GET_INFLIGHT_FD\tfailed\t");
        }
    }
    if has(VhostUserProtocolFeatures::LOG_SHMFD) {
        // A bit for each page up to the end of memory; any shared file will do.
        let log = VhostUserDirtyLogRegion {
            mmap_size: 0x10_0000,
            mmap_offset: 0,
            mmap_handle: ram.fd(),
        };
        told("SET_LOG_BASE", front.set_log_base(0, Some(log)));
        let poke = EventFd::new(0).expect("an eventfd");
        told("SET_LOG_FD", front.set_log_fd(poke.as_raw_fd()));
    }

    let (kick, call, err) = (
        EventFd::new(0).unwrap(),
        EventFd::new(0).unwrap(),
        EventFd::new(0).unwrap(),
    );
    told("SET_VRING_NUM of 0", front.set_vring_num(last, 0));
    told("SET_VRING_NUM", front.set_vring_num(last, RING_SIZE));
    told("SET_VRING_BASE", front.set_vring_base(last, 0));
    let mut nowhere = ram.ring(last, RING_SIZE);
    nowhere.desc_table_addr = 0x1000;
    told("SET_VRING_ADDR of no memory", front.set_vring_addr(last, &nowhere));
    told("SET_VRING_ADDR", front.set_vring_addr(last, &ram.ring(last, RING_SIZE)));
    told("SET_VRING_CALL", front.set_vring_call(last, &call));
    told("SET_VRING_ERR", front.set_vring_err(last, &err));
    told("SET_VRING_KICK", front.set_vring_kick(last, &kick));
    told("SET_VRING_ENABLE", front.set_vring_enable(last, true));

    ram.publish(last, &readable, &writable);
    kick.write(1).expect("a kick");
    let answer = loop {
        if let Some(bytes) = ram.used(last, &readable, &writable) {
            break bytes;
        }
        wait_for(&call);
    };
    println!("answer\t{}", hex_of(&answer));

    told("SET_VRING_CALL while it runs", front.set_vring_call(last, &call));
    told("GET_VRING_BASE", front.get_vring_base(last));
    told("SET_VRING_ENABLE 0", front.set_vring_enable(last, false));
    if has(VhostUserProtocolFeatures::RESET_DEVICE) {
        told("RESET_DEVICE", front.reset_device());
    }
    told(
        "SET_FEATURES, with logging",
        front.set_features(wanted | (offered & VHOST_F_LOG_ALL)),
    );
    told("RESET_OWNER", front.reset_owner());
    told("GET_FEATURES, at last", front.get_features());
}
