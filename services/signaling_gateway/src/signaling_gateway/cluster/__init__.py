"""What all gateways see: in Redis who is where, over NATS what they tell one another and everybody."""
