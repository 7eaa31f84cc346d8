//! A device made with the crate `vhost-user-backend`: `backend SOCKET`. It answers each chain with what it read, each byte
//! inverted, and keeps its configuration space of 16 bytes. It ends with its front-end.

use std::env::args;
use std::io::{Read, Result, Write};
use std::sync::{Arc, RwLock};

use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost::vhost_user::{Error as ProtocolError, Listener};
use vhost_user_backend::{Error as ServeError, VhostUserBackendMut, VhostUserDaemon, VringRwLock, VringT};
use virtio_queue::QueueOwnedT;
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;

const QUEUES: usize = 2;
const VIRTIO_RING_F_INDIRECT_DESC: u64 = 1 << 28;
const VIRTIO_RING_F_EVENT_IDX: u64 = 1 << 29;
const VHOST_USER_F_PROTOCOL_FEATURES: u64 = 1 << 30;
const VIRTIO_F_VERSION_1: u64 = 1 << 32;

type Memory = GuestMemoryAtomic<GuestMemoryMmap>;

struct Echo {
    memory: Memory,
    config: [u8; 16],
}

impl Echo {
    fn answer(&self, vring: &VringRwLock) -> Result<()> {
        let memory = self.memory.memory();
        let mut vring = vring.get_mut();
        let chains: Vec<_> = vring
            .get_queue_mut()
            .iter(self.memory.memory())
            .map_err(std::io::Error::other)?
            .collect();
        for chain in chains {
            let head = chain.head_index();
            let mut bytes = Vec::new();
            let mut reader = chain.clone().reader(&memory).map_err(std::io::Error::other)?;
            reader.read_to_end(&mut bytes)?;
            let mut writer = chain.writer(&memory).map_err(std::io::Error::other)?;
            let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            let len = inverted.len().min(writer.available_bytes());
            writer.write_all(&inverted[..len])?;
            vring.add_used(head, len as u32).map_err(std::io::Error::other)?;
        }
        Ok(())
    }
}

impl VhostUserBackendMut for Echo {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        QUEUES
    }

    fn max_queue_size(&self) -> usize {
        256
    }

    fn features(&self) -> u64 {
        VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES | VIRTIO_RING_F_EVENT_IDX | VIRTIO_RING_F_INDIRECT_DESC
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS
            | VhostUserProtocolFeatures::BACKEND_REQ
            | VhostUserProtocolFeatures::RESET_DEVICE
    }

    fn set_event_idx(&mut self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        self.config
            .get(offset as usize..(offset + size) as usize)
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }

    fn set_config(&mut self, offset: u32, bytes: &[u8]) -> Result<()> {
        let end = offset as usize + bytes.len();
        let range = self
            .config
            .get_mut(offset as usize..end)
            .ok_or(std::io::ErrorKind::InvalidInput)?;
        range.copy_from_slice(bytes);
        Ok(())
    }

    fn update_memory(&mut self, memory: Memory) -> Result<()> {
        self.memory = memory;
        Ok(())
    }

    fn handle_event(&mut self, ring: u16, _: EventSet, vrings: &[VringRwLock], _: usize) -> Result<()> {
        let vring = &vrings[ring as usize];
        loop {
            vring.disable_notification().map_err(std::io::Error::other)?;
            self.answer(vring)?;
            if vring.needs_notification().map_err(std::io::Error::other)? {
                vring.signal_used_queue()?;
            }
            // With EVENT_IDX it tells whether chains came meanwhile; without, the next kick comes for certain.
            if !vring.enable_notification().map_err(std::io::Error::other)? {
                return Ok(());
            }
        }
    }
}

fn main() {
    let socket = args().nth(1).expect("the path of a socket");
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let echo = Echo {
        memory: memory.clone(),
        config: *b"sixteen bytes...",
    };
    let mut daemon = VhostUserDaemon::new("echo".into(), Arc::new(RwLock::new(echo)), memory).expect("a daemon");
    let listener = Listener::new(&socket, true).expect("a socket");
    println!("listening on {socket}");
    daemon.start(listener).expect("a front-end");
    // It does not return by itself: the threads of the rings wait for an event that only `serve` sends.
    std::process::exit(match daemon.wait() {
        Ok(()) | Err(ServeError::HandleRequest(ProtocolError::Disconnected)) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    });
}
