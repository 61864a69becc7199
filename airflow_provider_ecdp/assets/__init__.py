"""Assets in ExpertSender CDP."""
