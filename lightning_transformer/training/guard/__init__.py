"""What happens at values that are not finite and at spikes."""
