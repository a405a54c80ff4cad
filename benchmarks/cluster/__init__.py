"""A small cluster on this machine: nats-servers, replicas of logurt, and a balancer in front of them."""
