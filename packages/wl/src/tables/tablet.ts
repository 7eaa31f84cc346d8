/** Drawing tablets. */
import type { ProtocolTable } from '../protocol-table.ts';

export const tablet: ProtocolTable = {
  zwp_tablet_manager_v2: {
    version: 2,
    requests: ['get_tablet_seat n:zwp_tablet_seat_v2 o:wl_seat', 'destroy'],
    events: [],
  },
  zwp_tablet_seat_v2: {
    version: 2,
    requests: ['destroy'],
    events: ['tablet_added n:zwp_tablet_v2', 'tool_added n:zwp_tablet_tool_v2', 'pad_added n:zwp_tablet_pad_v2'],
  },
  zwp_tablet_tool_v2: {
    version: 2,
    requests: ['set_cursor u o:wl_surface i i', 'destroy'],
    events: [
      'type u',
      'hardware_serial u u',
      'hardware_id_wacom u u',
      'capability u',
      'done',
      'removed',
      'proximity_in u o:zwp_tablet_v2 o:wl_surface',
      'proximity_out',
      'down u',
      'up',
      'motion f f',
      'pressure u',
      'distance u',
      'tilt f f',
      'rotation f',
      'slider i',
      'wheel f i',
      'button u u u',
      'frame u',
    ],
  },
  zwp_tablet_v2: {
    version: 2,
    requests: ['destroy'],
    events: ['name s', 'id u u', 'path s', 'done', 'removed', 'bustype u'],
  },
  zwp_tablet_pad_ring_v2: {
    version: 2,
    requests: ['set_feedback s u', 'destroy'],
    events: ['source u', 'angle f', 'stop', 'frame u'],
  },
  zwp_tablet_pad_strip_v2: {
    version: 2,
    requests: ['set_feedback s u', 'destroy'],
    events: ['source u', 'position u', 'stop', 'frame u'],
  },
  zwp_tablet_pad_group_v2: {
    version: 2,
    requests: ['destroy'],
    events: [
      'buttons a',
      'ring n:zwp_tablet_pad_ring_v2',
      'strip n:zwp_tablet_pad_strip_v2',
      'modes u',
      'done',
      'mode_switch u u u',
      'dial n:zwp_tablet_pad_dial_v2',
    ],
  },
  zwp_tablet_pad_v2: {
    version: 2,
    requests: ['set_feedback u s u', 'destroy'],
    events: [
      'group n:zwp_tablet_pad_group_v2',
      'path s',
      'buttons u',
      'done',
      'button u u u',
      'enter u o:zwp_tablet_v2 o:wl_surface',
      'leave u o:wl_surface',
      'removed',
    ],
  },
  zwp_tablet_pad_dial_v2: { version: 2, requests: ['set_feedback s u', 'destroy'], events: ['delta i', 'frame u'] },
};
