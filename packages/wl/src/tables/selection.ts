/** Selections beyond wl_data_device: the primary one, and those of clipboard managers. */
import type { ProtocolTable } from '../protocol-table.ts';

export const selection: ProtocolTable = {
  zwp_primary_selection_device_manager_v1: {
    version: 1,
    requests: [
      'create_source n:zwp_primary_selection_source_v1',
      'get_device n:zwp_primary_selection_device_v1 o:wl_seat',
      'destroy',
    ],
    events: [],
  },
  zwp_primary_selection_device_v1: {
    version: 1,
    requests: ['set_selection o:zwp_primary_selection_source_v1 u', 'destroy'],
    events: ['data_offer n:zwp_primary_selection_offer_v1', 'selection o:zwp_primary_selection_offer_v1'],
  },
  zwp_primary_selection_offer_v1: { version: 1, requests: ['receive s h', 'destroy'], events: ['offer s'] },
  zwp_primary_selection_source_v1: { version: 1, requests: ['offer s', 'destroy'], events: ['send s h', 'cancelled'] },
  zwlr_data_control_manager_v1: {
    version: 2,
    requests: [
      'create_data_source n:zwlr_data_control_source_v1',
      'get_data_device n:zwlr_data_control_device_v1 o:wl_seat',
      'destroy',
    ],
    events: [],
  },
  zwlr_data_control_device_v1: {
    version: 2,
    requests: [
      'set_selection o:zwlr_data_control_source_v1',
      'destroy',
      'set_primary_selection o:zwlr_data_control_source_v1',
    ],
    events: [
      'data_offer n:zwlr_data_control_offer_v1',
      'selection o:zwlr_data_control_offer_v1',
      'finished',
      'primary_selection o:zwlr_data_control_offer_v1',
    ],
  },
  zwlr_data_control_source_v1: { version: 1, requests: ['offer s', 'destroy'], events: ['send s h', 'cancelled'] },
  zwlr_data_control_offer_v1: { version: 1, requests: ['receive s h', 'destroy'], events: ['offer s'] },
  ext_data_control_manager_v1: {
    version: 1,
    requests: [
      'create_data_source n:ext_data_control_source_v1',
      'get_data_device n:ext_data_control_device_v1 o:wl_seat',
      'destroy',
    ],
    events: [],
  },
  ext_data_control_device_v1: {
    version: 1,
    requests: [
      'set_selection o:ext_data_control_source_v1',
      'destroy',
      'set_primary_selection o:ext_data_control_source_v1',
    ],
    events: [
      'data_offer n:ext_data_control_offer_v1',
      'selection o:ext_data_control_offer_v1',
      'finished',
      'primary_selection o:ext_data_control_offer_v1',
    ],
  },
  ext_data_control_source_v1: { version: 1, requests: ['offer s', 'destroy'], events: ['send s h', 'cancelled'] },
  ext_data_control_offer_v1: { version: 1, requests: ['receive s h', 'destroy'], events: ['offer s'] },
};
