-- One database per service that stores: each owns its own and sees no other.
CREATE DATABASE host_registry;
CREATE DATABASE zone_manager;
CREATE DATABASE session_manager;
CREATE DATABASE signaling_gateway;
CREATE DATABASE scheduler;
