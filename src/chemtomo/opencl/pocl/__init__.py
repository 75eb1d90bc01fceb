"""What PoCL, the OpenCL driver of the CPU, needs of the machine."""
