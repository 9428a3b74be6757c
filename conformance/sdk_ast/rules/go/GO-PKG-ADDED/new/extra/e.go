package extra

const E = 1
