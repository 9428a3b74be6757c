package other

const E = 1
