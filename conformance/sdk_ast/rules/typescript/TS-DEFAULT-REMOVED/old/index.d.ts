declare function f(): void;
export default f;
