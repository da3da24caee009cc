# Disable auto-boost for consistent clocks
ENV CUDA_AUTO_BOOST=0

# Force maximum clocks during inference
ENV CUDA_CLOCK_CONTROL=1
ENV CUDA_MAX_CLOCK=1
