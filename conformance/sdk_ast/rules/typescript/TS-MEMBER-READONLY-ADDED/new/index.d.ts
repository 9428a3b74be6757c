export interface I { readonly a: string }
